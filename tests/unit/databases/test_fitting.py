from __future__ import annotations

import dataclasses
import enum
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.databases.fitting import check_fits
from gristmill.databases.names import TableName
from gristmill.databases.table import Column, Table
from gristmill.errors import ConfigurationError

UserId = NewType("UserId", int)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Email(str):
    __slots__ = ()


def table_of(values: type | None) -> Table:
    column = Column(name="v", type="of it", values=values)
    return Table(name=TableName(table="t"), columns={"v": column})


def fits(annotation: Any, values: type | None) -> bool:
    try:
        check_fits(msgspec.defstruct("Row", [("v", annotation)]), table_of(values))
    except ConfigurationError:
        return False
    return True


FIT = [
    (int, int),
    (str, str),
    (int, str),  # "1"
    (datetime, str),
    (bytes, str),
    (Colour, str),
    (Level, int),
    (Level, str),
    (Literal[1, 2], int),
    (bool, int),
    (float, int),
    (float, Decimal),
    (Annotated[int, msgspec.Meta(ge=100)], int),
    (Annotated[str, msgspec.Meta(pattern="^z$")] | None, str),
    (UserId, int),
    (int | str, int),
    (Any, int),
    (object, datetime),
    (Email, int),  # of which nothing is known
    (datetime, datetime),
    (timedelta, timedelta),
    (uuid.UUID, uuid.UUID),
    (list[int], None),
]
NO_FIT = [
    (str, int),
    (str | None, int),
    (Annotated[str, msgspec.Meta(max_length=3)], uuid.UUID),
    (int, Decimal),
    (int, bool),
    (Colour, int),
    (Level, uuid.UUID),
    (Literal["a"], int),
    (list[int], str),
    (dict[str, Any], int),
    (NewType("Name", str), int),
    (datetime, timedelta),
    (str, datetime),
]


@pytest.mark.parametrize(("annotation", "values"), FIT)
def test_a_field_that_may_take_a_value_of_its_column_fits(annotation: Any, values: type | None) -> None:
    assert fits(annotation, values)


@pytest.mark.parametrize(("annotation", "values"), NO_FIT)
def test_a_field_that_can_take_no_value_of_its_column_does_not(annotation: Any, values: type) -> None:
    assert not fits(annotation, values)


def test_every_kind_of_row_is_looked_at() -> None:
    class Typed(TypedDict):
        v: NotRequired[str]

    @dataclasses.dataclass
    class Data:
        v: str

    class Model(pydantic.BaseModel):
        v: str = pydantic.Field(max_length=5, validation_alias="other")

    for kind in (msgspec.defstruct("Row", [("v", str)]), Typed, Data, Model):
        check_fits(kind, table_of(str))
        with pytest.raises(ConfigurationError, match=r"does not fit|no row of t fits.* v \(of it\)"):
            check_fits(kind, table_of(int))


def test_a_model_is_taken_at_its_own_word() -> None:
    class Model(pydantic.BaseModel):
        v: Annotated[str, pydantic.BeforeValidator(str)]

    class Validating(pydantic.BaseModel):
        v: str

        @pydantic.field_validator("v", mode="before")
        @classmethod
        def as_text(cls, value: Any) -> str:
            return str(value)

    class Above(pydantic.BaseModel):
        v: Annotated[int, pydantic.Field(gt=1000)]

    for kind in (Model, Validating, Above):
        check_fits(kind, table_of(int))


def test_names_that_cannot_be_resolved_are_let_through() -> None:
    @dataclasses.dataclass
    class Row:
        v: Nowhere  # type: ignore[name-defined]  # noqa: F821 - the point of the test

    check_fits(Row, table_of(int))
