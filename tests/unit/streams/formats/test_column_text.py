"""Columns become the lines that rows become."""

import csv
import datetime as dt
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.formats.column_text import CsvColumnEncoder, LineColumnEncoder, bytes_of, rows_of

CELL = st.one_of(st.none(), st.text(st.sampled_from('ab,;"\n\r é'), max_size=5))


def by_csv(rows, delimiter=","):
    """What the module csv writes; it quotes a carriage return only where lines end with one."""
    found = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\r\n").writerow(row)
        found.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(found)


def lines(batch, *, delimiter=",", names=None):
    encoder = CsvColumnEncoder(delimiter, names)
    body, bad = encoder.encode([batch], encoder.layout(batch))
    return bytes(body).decode(), bad


@given(rows=st.lists(st.tuples(CELL, CELL), max_size=10), delimiter=st.sampled_from([",", ";"]))
def test_text_is_quoted_as_the_module_csv_quotes_it(rows, delimiter):
    batch = pa.record_batch(
        {
            "a": pa.array([row[0] for row in rows], pa.string()),
            "b": pa.array([row[1] for row in rows], pa.string()),
        }
    )

    assert lines(batch, delimiter=delimiter) == (by_csv(rows, delimiter), {})


@given(st.lists(CELL, max_size=10))
def test_a_single_column_has_no_line_that_looks_blank(cells):
    assert lines(pa.record_batch({"a": pa.array(cells, pa.string())}))[0] == by_csv(
        [[cell] for cell in cells]
    )


def test_values_of_other_types_are_written_in_their_usual_form():
    batch = pa.record_batch(
        {
            "int": [1, None],
            "float": [1.5, 1e300],
            "bool": [True, False],
            "day": [dt.date(2026, 1, 2), None],
            "time": [dt.datetime(2026, 1, 2, 3, 4, 5), None],  # noqa: DTZ001 - as files have them
            "list": [[1, 2], None],
            "struct": [{"x": "a"}, None],
            "dictionary": pa.array(["x,y", None]).dictionary_encode(),
        }
    )

    assert lines(batch)[0] == (
        '1,1.5,true,2026-01-02,2026-01-02T03:04:05,"[1,2]","{""x"":""a""}","x,y"\n,1e+300,false,,,,,\n'
    )


def test_slices_are_written_and_nothing_before_or_after_them():
    batch = pa.record_batch({"a": ["x", "y,", "z"], "b": ["1", "2", "3"]}).slice(1, 1)

    assert lines(batch)[0] == '"y,",2\n'
    assert bytes(bytes_of(batch.column(0))) == b"y,"


def test_a_batch_with_a_column_too_many_is_not_written():
    encoder = CsvColumnEncoder(",", None)
    good, odd = pa.record_batch({"a": ["1"]}), pa.record_batch({"a": ["2"], "c": ["3"]})

    body, bad = encoder.encode([good, odd], encoder.layout(good))

    assert bytes(body) == b"1\n"
    assert bad == {1: "the result has c, and the output has only a"}


def test_a_column_that_is_missing_is_empty():
    encoder = CsvColumnEncoder(",", ("a", "b"))

    assert bytes(encoder.encode([pa.record_batch({"b": ["2"]})], encoder.layout(None))[0]) == b",2\n"


def test_lines_of_json_are_one_object_each():
    batch = pa.record_batch({"a": [1, None], "b": [[1.5], []], "t": [dt.date(2026, 1, 2), None]})

    body, bad = LineColumnEncoder().encode([batch], None)

    assert [json.loads(line) for line in body.splitlines()] == [
        {"a": 1, "b": [1.5], "t": "2026-01-02"},
        {"a": None, "b": [], "t": None},
    ]
    assert not bad


@pytest.mark.parametrize("columns", [1, 30])
def test_rows_are_dicts_of_all_columns(columns):
    batch = pa.record_batch({f"c{number}": [number, None] for number in range(columns)})

    assert rows_of(batch) == batch.to_pylist()


def test_lines_have_nanoseconds_in_all_digits():
    batch = pa.record_batch({"at": pa.array([1, None], pa.timestamp("ns", "UTC")), "a": [1, 2]})
    body, bad = LineColumnEncoder().encode([batch], None)
    assert (body.decode(), bad) == (
        '{"at":"1970-01-01T00:00:00.000000001Z","a":1}\n{"at":null,"a":2}\n',
        {},
    )
