"""What a flat column is, is told from the schema of a file; nested columns are none."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.streams.formats.parquet_footer import SCHEMA, footer_of, structs_of
from gristmill.streams.formats.parquet_leaves import Leaf, flat_leaves
from gristmill.streams.formats.thrift_compact import encode, list_header
from gristmill.streams.formats.thrift_tree import BINARY, I8, I32, STRUCT, TRUE, Struct

TYPE, REPETITION, NAME, CONVERTED, LOGICAL = 1, 3, 4, 6, 10


def schema_of(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return footer_of(out.getvalue()).raw(SCHEMA)


def leaves(schema):
    return dict(flat_leaves(schema))


def element(**fields):
    numbers = {"physical": TYPE, "repetition": REPETITION, "converted": CONVERTED, "logical": LOGICAL}
    values = {numbers[name]: value for name, value in fields.items()}
    tree = {field: (STRUCT if field == LOGICAL else I32, value) for field, value in values.items()}
    return Struct(dict(sorted({**tree, NAME: (BINARY, b"x")}.items())))


def only(element):
    root = Struct({NAME: (BINARY, b"schema"), 5: (I32, 1)})
    return flat_leaves(list_header(STRUCT, 2) + encode(root) + encode(element))[0][1]


def test_a_nested_column_is_no_flat_one_and_those_around_it_are():
    table = pa.table(
        {
            "a": [1],
            "list": [[1]],
            "b": ["x"],
            "deep": [{"x": {"y": [1], "z": 2.0}, "v": [None]}],
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "c": [1.5],
        }
    )
    found = flat_leaves(schema_of(table))
    assert [name for name, leaf in found if leaf is not None] == ["a", "b", "c"]
    assert len(found) == pq.ParquetFile(io.BytesIO(_written(table))).metadata.num_columns


def _written(table):
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.int64(), pa.int32()),
        (pa.int64(), pa.uint64()),
        (pa.int32(), pa.date32()),
        (pa.string(), pa.binary()),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
        (pa.timestamp("us"), pa.timestamp("ms")),
        (pa.decimal128(5, 2), pa.decimal128(5, 1)),
        (pa.binary(4), pa.binary(5)),
    ],
)
def test_columns_of_other_types_are_others(one, other):
    table = pa.table({"one": pa.nulls(1, one), "other": pa.nulls(1, other)})
    found = leaves(schema_of(table))
    assert found["one"] != found["other"]


def test_a_column_that_cannot_be_null_is_another():
    fields = [pa.field("one", pa.int64(), nullable=False), pa.field("other", pa.int64())]
    found = leaves(schema_of(pa.table({"one": [1], "other": [1]}, schema=pa.schema(fields))))
    assert found["one"] != found["other"]


def test_names_and_field_ids_do_not_count():
    field = pa.field("other", pa.int64(), metadata={"PARQUET:field_id": "7"})
    table = pa.table({"one": [1], "other": [1]}, schema=pa.schema([pa.field("one", pa.int64()), field]))
    found = leaves(schema_of(table))
    assert b"\x0e" in schema_of(table)  # the id is there
    assert found["one"] == found["other"]


def test_what_older_writers_call_a_converted_type_is_the_logical_one():
    text = Struct({1: (STRUCT, Struct({}))})
    assert only(element(physical=6, repetition=1, converted=0)) == Leaf(6, None, 1, text)
    assert only(element(physical=6, repetition=1, converted=0)) == only(
        element(physical=6, repetition=1, converted=0, logical=text)
    )


def test_an_integer_that_is_marked_as_one_is_a_plain_one():
    marked = Struct({10: (STRUCT, Struct({1: (I8, b"\x40"), 2: (TRUE, None)}))})
    plain = only(element(physical=2, repetition=1))
    assert plain is not None
    assert only(element(physical=2, repetition=1, converted=18)) == plain
    assert only(element(physical=2, repetition=1, logical=marked)) == plain
    assert only(element(physical=1, repetition=1, logical=marked)) != only(element(physical=1, repetition=1))


@pytest.mark.parametrize("fields", [{"converted": 9}, {"converted": 5}, {"repetition": 2}])
def test_what_is_not_surely_known_is_none(fields):
    assert only(element(**{"physical": 2, "repetition": 1, **fields})) is None


def test_elements_are_those_of_the_footer():
    assert len(structs_of(schema_of(pa.table({"a": [1]})))) == 2
