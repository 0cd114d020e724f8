"""One schema for all batches of an output, and for all files of an input."""

import pyarrow as pa
import pytest

from gristmill.errors import SourceError
from gristmill.streams.formats.arrow_layout import fit, join_schemas, layout_of, schema_of

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])


def joined(*schemas):
    encoded = [schema.serialize().to_pybytes() for schema in schemas]
    found, _ = join_schemas(encoded, [f"{number}.parquet" for number in range(len(schemas))])
    return pa.ipc.read_schema(pa.BufferReader(found))


def test_a_layout_is_a_schema_without_dictionaries_and_nulls():
    schema = pa.schema(
        [("a", pa.dictionary(pa.int8(), pa.string())), ("b", pa.null())], metadata={"pandas": "x"}
    )

    assert schema_of(layout_of(schema)) == pa.schema([("a", pa.string()), ("b", pa.string())])


def test_names_alone_and_nothing_are_layouts_too():
    assert schema_of(b'["a"]') == pa.schema([("a", pa.string())])
    assert schema_of(None) == pa.schema([])


def test_columns_are_cast_reordered_and_filled_with_null():
    batch = pa.record_batch({"b": ["x"], "a": pa.array([1], pa.int8())})

    assert fit(batch, SCHEMA)[0].to_pylist() == [{"a": 1, "b": "x"}]
    assert fit(batch.select(["b"]), SCHEMA)[0].to_pylist() == [{"a": None, "b": "x"}]


def test_values_that_would_lose_something_fail_their_rows():
    found, bad = fit(pa.record_batch({"a": [1.0, 1.5], "b": ["x", "y"]}), SCHEMA)

    assert found.to_pylist() == [{"a": 1, "b": "x"}]
    assert bad == {1: "column a: 1.5 is not int64"}


def test_entries_within_a_column_are_not_dropped():
    schema = pa.schema([("o", pa.struct([("x", pa.int64())]))])

    found, bad = fit(pa.record_batch({"o": [{"x": 1, "y": None}, {"x": 2, "y": 3}]}), schema)

    assert found.to_pylist() == [{"o": {"x": 1}}]
    assert bad == {1: "column o: {'x': 2, 'y': 3} is not struct<x: int64>"}


def test_values_that_are_all_of_another_kind_all_fail():
    found, bad = fit(pa.record_batch({"a": [[1], [2]], "b": ["x", "y"]}), SCHEMA)

    assert (found.num_rows, list(bad)) == (0, [0, 1])


def test_a_column_that_is_none_fails_every_row():
    found, bad = fit(pa.record_batch({"a": [1], "c": [2]}), SCHEMA)

    assert found.num_rows == 0
    assert bad == {0: "the result has c, and the output has only a, b"}


def test_files_of_narrower_and_wider_types_are_read_as_the_wider():
    narrow = pa.schema([("a", pa.int32()), ("b", pa.null())])

    assert joined(narrow, SCHEMA) == SCHEMA


def test_files_of_types_that_do_not_go_together_are_refused():
    with pytest.raises(SourceError, match=r"column a is double in 1.parquet and int64 before"):
        joined(SCHEMA, pa.schema([("a", pa.float64()), ("b", pa.string())]))


def test_files_of_other_columns_are_refused():
    with pytest.raises(SourceError, match="differ in the column b"):
        joined(SCHEMA, pa.schema([("a", pa.int64())]))


def test_a_file_with_two_columns_of_one_name_is_refused():
    with pytest.raises(SourceError, match="two columns called a"):
        joined(pa.schema([("a", pa.int64()), ("a", pa.int64())]))
