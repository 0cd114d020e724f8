"""Rows become tables: the types are those of the annotation, else those of the first rows."""

import dataclasses
import datetime as dt
import decimal
import enum
import typing
import uuid

import msgspec
import pyarrow as pa
import pydantic
import pytest

from gristmill.streams.formats.arrow_layout import schema_of
from gristmill.streams.formats.table_encoding import TableRowEncoder, fields_of, kind_of


class Inner(msgspec.Struct):
    x: float


class Order(msgspec.Struct, rename="camel"):
    order_id: int
    note: str | None
    inner: Inner
    tags: list[str]


@dataclasses.dataclass
class Point:
    x: float
    on: bool


class Model(pydantic.BaseModel):
    day: dt.date


class Typed(typing.TypedDict):
    name: str


class Colour(enum.Enum):
    RED = "red"


def encode(results, result_type=typing.Any, layout=None):
    encoder = TableRowEncoder(lambda batch: batch, result_type)
    layout = encoder.layout(results) if layout is None else layout
    batch, bad = encoder.encode(results, layout)
    return batch, bad, layout


def test_annotated_results_have_the_annotated_types_whatever_their_values():
    batch, bad, _ = encode([Order(1, None, Inner(1), [])], Order)

    assert not bad
    assert batch.schema == pa.schema(
        [
            ("orderId", pa.int64()),
            ("note", pa.string()),
            ("inner", pa.struct([("x", pa.float64())])),
            ("tags", pa.list_(pa.string())),
        ]
    )
    assert batch.to_pylist() == [{"orderId": 1, "note": None, "inner": {"x": 1.0}, "tags": []}]


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


def test_dicts_have_the_columns_and_types_of_the_first_rows():
    batch, _, layout = encode([{"a": 1}, {"a": 2.5, "b": None}])

    assert schema_of(layout) == pa.schema([("a", pa.float64()), ("b", pa.string())])
    assert batch.to_pylist() == [{"a": 1.0, "b": None}, {"a": 2.5, "b": None}]


def test_later_values_that_do_not_fit_fail_their_rows():
    _, _, layout = encode([{"a": 1}])

    batch, bad, _ = encode([{"a": 2}, {"a": "x"}, {"a": 1, "z": 1}, {"a": 2**70}], layout=layout)

    assert batch.to_pylist() == [{"a": 2}]
    assert bad == {
        1: "column a: 'x' is not int64",
        2: "the result has z, and the output has only a",
        3: f"column a: {2**70} is not int64",
    }


def test_values_that_arrow_does_not_know_are_written_as_json_says_them():
    key = uuid.UUID(int=5)

    batch, bad, _ = encode([{"id": key, "colour": Colour.RED}])

    assert not bad
    assert batch.to_pylist() == [{"id": str(key), "colour": "red"}]


def test_decimals_have_room_for_longer_ones():
    _, _, layout = encode([{"a": decimal.Decimal("1.50")}])

    batch, bad, _ = encode([{"a": decimal.Decimal("123456789.25")}], layout=layout)

    assert not bad
    assert batch.to_pylist() == [{"a": decimal.Decimal("123456789.25")}]


def test_no_results_decide_nothing_unless_their_type_does():
    assert TableRowEncoder(lambda batch: batch, dict).layout([]) is None
    assert TableRowEncoder(lambda batch: batch, Point).layout([]) is not None


def test_scalars_are_a_column_called_value():
    assert encode([1, 2])[0].to_pylist() == [{"value": 1}, {"value": 2}]


def test_a_result_that_is_no_row_fails_alone_though_it_is_among_the_first():
    encoder = TableRowEncoder(lambda batch: batch.to_pylist(), typing.Any)
    results = [{"a": 1}, object(), {"a": 2}]
    layout = encoder.layout(results)
    body, bad = encoder.encode(results, layout)
    assert body == [{"a": 1}, {"a": 2}]
    assert list(bad) == [1]
    assert "object has no JSON form" in bad[1]


def test_results_without_a_column_fail_and_are_not_lost():
    encoder = TableRowEncoder(lambda batch: batch.to_pylist(), typing.Any)
    for results in ([{}, {}], [object()]):
        assert encoder.layout(results) is None
        assert encoder.encode(results, None) == (
            b"",
            dict.fromkeys(range(len(results)), "the result has no columns"),
        )


def test_an_entry_that_the_columns_have_not_is_not_dropped_from_within_a_row():
    _, _, layout = encode([{"o": {"x": 1}, "l": [{"x": 1}], "d": dt.date(2020, 1, 1)}])
    later = [
        {"o": {"x": 2}, "l": [], "d": None},
        {"o": {"x": 3, "y": 4}, "l": [], "d": None},
        {"o": None, "l": [{"x": 5}, {"z": 6}], "d": None},
        {"o": None, "l": [], "d": dt.datetime(2020, 1, 1, 5)},  # noqa: DTZ001 - a date has no zone
    ]

    batch, bad, _ = encode(later, layout=layout)

    assert batch.to_pylist() == later[:1]
    assert list(bad) == [1, 2, 3]
    assert bad[1] == "column o: {'x': 3, 'y': 4} is not struct<x: int64>"
