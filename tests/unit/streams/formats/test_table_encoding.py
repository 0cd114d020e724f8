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
from pydantic.alias_generators import to_camel

from gristmill.streams.formats.arrow_layout import layout_of, schema_of
from gristmill.streams.formats.table_encoding import TableRowEncoder


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


class Colour(enum.Enum):
    RED = "red"


def encode(results, result_type=typing.Any, layout=None, given=None):
    encoder = TableRowEncoder(lambda batch: batch, result_type, given)
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


GIVEN = pa.schema(
    [
        ("large", pa.uint64()),
        ("map", pa.map_(pa.string(), pa.int64())),
        ("later", pa.date32()),
        ("list", pa.list_(pa.struct([("n", pa.int32())]))),
        ("long", pa.decimal256(60, 2)),
        ("small", pa.int8()),
    ]
)


def test_types_of_the_input_count_where_the_first_rows_do_not_tell_all():
    decimals = [decimal.Decimal("1.50"), decimal.Decimal("9" * 50 + ".25")]
    first = {"large": 1, "map": {"a": 1}, "later": None, "list": [], "long": decimals[0], "small": 1}
    later = {
        "large": 2**64 - 1, "map": {}, "later": dt.date(2020, 1, 1), "list": [{"n": 5}], "long": decimals[1],
        "small": 300,
    }  # fmt: skip

    _, _, layout = encode([first], given=layout_of(GIVEN))
    batch, bad, _ = encode([later], layout=layout)

    assert not bad
    assert schema_of(layout) == GIVEN.set(5, pa.field("small", pa.int64()))  # which the rows do tell
    assert batch.to_pylist(maps_as_pydicts="strict") == [later]


def test_types_of_the_input_do_not_count_where_the_rows_are_of_others():
    _, bad, layout = encode([{"large": -1, "later": "x", "map": "y"}], given=layout_of(GIVEN))

    assert not bad
    assert schema_of(layout) == pa.schema(
        [("large", pa.int64()), ("later", pa.string()), ("map", pa.string())]
    )


def test_decimals_of_more_than_38_digits_keep_them():
    value = decimal.Decimal("9" * 50 + ".25")

    batch, bad, _ = encode([{"a": value}])

    assert not bad
    assert batch.to_pylist() == [{"a": value}]


class Priced(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, populate_by_name=True)

    sold_on: dt.date
    unit_price: decimal.Decimal
    secret: str = pydantic.Field("", exclude=True)

    @pydantic.computed_field
    @property
    def gross(self) -> float:
        return float(self.unit_price) * 2


@dataclasses.dataclass
class Shelf:
    best: Priced


def test_models_are_written_as_they_are_dumped_with_their_types():
    one = Priced(sold_on=dt.date(2020, 1, 1), unit_price=decimal.Decimal("1.50"))

    batch, bad, layout = encode([one], Priced)
    nested, also_bad, _ = encode([Shelf(one)], Shelf)

    expected = {"soldOn": one.sold_on, "unitPrice": one.unit_price, "gross": 3.0}
    assert not bad
    assert batch.to_pylist() == [expected]
    assert schema_of(layout).types == [pa.date32(), pa.decimal128(38, 2), pa.float64()]
    assert not also_bad
    assert nested.to_pylist() == [{"best": expected}]


class Tagged(msgspec.Struct, tag_field="kind", tag=5):
    a: int


class Listed(msgspec.Struct, array_like=True):
    a: int


def test_structs_are_written_with_their_tag_and_lists_as_a_value():
    assert encode([Tagged(1)], Tagged)[0].to_pylist() == [{"kind": 5, "a": 1}]
    assert encode([Listed(1)], Listed)[0].to_pylist() == [{"value": [1]}]
