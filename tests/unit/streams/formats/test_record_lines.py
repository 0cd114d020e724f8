"""Records are found by the lengths of their cells: as they stand, or not at all."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.formats import record_lines
from gristmill.streams.formats.csv_records import needed_quotes
from gristmill.streams.formats.dialect import COMMA
from gristmill.streams.formats.record_lines import lines_of

CELL = st.text(st.sampled_from('ab,"\né'), max_size=4)


def found(text, most=5000):
    """The records of *text*, which has two columns; with the values that the module csv finds."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in (0, 1)]
    lines = lines_of(text.encode(), ",", columns, needed_quotes(text.encode(), COMMA, most))
    return None if lines is None else lines.texts.to_pylist()


def written(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def check(rows, cut):
    texts = [written([row]) for row in rows]
    text = "".join(texts)
    expected = [
        before + text.removesuffix("\n") for before, text in zip(["", *"\n" * len(rows)], texts, strict=False)
    ]
    assert found(text.removesuffix("\n") if cut else text) == expected


@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12), st.booleans())
def test_each_record_is_found_as_it_stands(rows, cut):
    check(rows, cut)


def test_rows_are_found_by_any_version_of_arrow(monkeypatch):
    rows = [("a", "b"), ("a,b", '"'), ("", ""), ("c", "\n"), ("d", "e")]
    check(rows, cut=False)
    monkeypatch.delattr(record_lines.pc, "search_sorted", raising=False)
    check(rows, cut=False)


def test_many_records_with_few_quotes_and_many():
    check([(str(number), "x" * (number % 7)) for number in range(3000)], cut=False)
    check([(str(number), "x," if number % 3 else 'y"') for number in range(900)], cut=False)


@pytest.mark.parametrize("text", ["a,b\r\nc,d\r\n", "a,b\r\nc,d\n", "a,b\rc,d\n", "a,b\nc,d\r\n"])
def test_records_with_other_line_ends_are_not_found(text):
    assert found(text) is None


def test_a_text_that_is_not_as_long_as_its_cells_has_no_records():
    columns = [pa.array(["a"]), pa.array(["b"])]

    assert lines_of(b"a,b\n\n", ",", columns, needed_quotes(b"", COMMA, 0)) is None
    assert lines_of(b"", ",", [pa.array([], pa.string())], needed_quotes(b"", COMMA, 0)) is None
