"""What annotations say of the types of columns, and what they leave to the values."""

import dataclasses
import datetime as dt
import typing
import uuid

import pyarrow as pa
import pydantic
import pytest

from gristmill.streams.formats.annotated_types import fields_of, kind_of


@dataclasses.dataclass
class Point:
    x: float
    on: bool


class Model(pydantic.BaseModel):
    day: dt.date


class Typed(typing.TypedDict):
    name: str


@pytest.mark.parametrize(
    ("result_type", "expected"),
    [
        (Point, {"x": pa.float64(), "on": pa.bool_()}),
        (Model, {"day": pa.date32()}),
        (Typed, {"name": pa.string()}),
        (dict, None),
        (int, None),
    ],
)
def test_every_kind_of_type_says_its_fields(result_type, expected):
    assert fields_of(result_type) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (typing.Literal["a", "b"], pa.string()),
        (int | str, None),
        (typing.Annotated[int, "x"], pa.int64()),
        (dt.datetime, None),
        (dict[str, int], None),
        (uuid.UUID, pa.string()),
    ],
)
def test_what_does_not_say_one_type_is_left_to_the_values(annotation, expected):
    assert kind_of(annotation) == expected
