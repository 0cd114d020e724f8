from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import SchemaMismatch
from gristmill.streams.formats.parquet_footer import Footer, footer_of
from gristmill.streams.formats.parquet_schema import require_same_schema


def footer(schema: pa.Schema, **options: object) -> Footer:
    out = io.BytesIO()
    pq.write_table(schema.empty_table(), out, **options)
    return footer_of(out.getvalue())


def difference(first: list[pa.Field], other: list[pa.Field]) -> str:
    with pytest.raises(SchemaMismatch) as caught:
        require_same_schema(footer(pa.schema(first)), footer(pa.schema(other)), "piece 3")
    message = str(caught.value)
    assert message.startswith("Piece 3 has other columns than the first: ")
    assert "write each with the schema of the first" in message
    return message.partition(": ")[2].partition(". All parts")[0]


A, B = pa.field("a", pa.int64()), pa.field("b", pa.string())


def test_the_first_difference_is_named() -> None:
    assert difference([A, B], [A]) == "column 'b' of the first is missing"
    assert difference([A], [A, B]) == "column 'b' is not in the first"
    assert difference([A, B], [B, A]) == "column 'b' stands where the first has 'a'"
    assert difference([A], [pa.field("a", pa.float64())]) == "the type of 'a' is DOUBLE, in the first INT64"
    assert (
        difference([B], [pa.field("b", pa.binary())])
        == "the logical type of 'b' is none, in the first STRING"
    )
    assert difference([A], [pa.field("a", pa.int64(), nullable=False)]) == (
        "the repetition of 'a' is required, in the first optional"
    )
    assert difference([pa.field("t", pa.timestamp("us"))], [pa.field("t", pa.timestamp("ns"))]) == (
        "'t' is a TIMESTAMP of another unit, precision or kind"
    )
    assert difference([pa.field("d", pa.decimal128(20, 2))], [pa.field("d", pa.decimal128(20, 3))]) == (
        "'d' is a DECIMAL of another unit, precision or kind"
    )


def test_a_difference_inside_a_nested_column_has_its_path() -> None:
    nested = [pa.field("s", pa.struct({"x": pa.list_(pa.int32()), "y": pa.int8()})), A]
    other = [pa.field("s", pa.struct({"x": pa.list_(pa.int64()), "y": pa.int8()})), A]
    assert difference(nested, other) == "the type of 's.x.list.element' is INT64, in the first INT32"
    assert difference(nested, [pa.field("s", pa.struct({"x": pa.list_(pa.int32())})), A]) == (
        "column 's.y' of the first is missing"
    )


def test_types_that_only_arrow_tells_apart_are_told_apart() -> None:
    seconds, millis = [pa.field("d", pa.duration("s"))], [pa.field("d", pa.duration("ms"))]
    assert difference(seconds, millis) == "the Arrow type of 'd' is duration[ms], in the first duration[s]"


def test_metadata_and_writers_may_differ() -> None:
    first = footer(pa.schema([A, B], metadata={"rows": "0-9"}))
    require_same_schema(first, footer(pa.schema([A, B], metadata={"rows": "10-19"})), "piece 1")
    require_same_schema(first, footer(pa.schema([A, B]), store_schema=False), "piece 1")
    require_same_schema(first, footer(pa.schema([A, B]), version="1.0"), "piece 1")
