"""Lines made by compiled expressions are those made column by column, whatever came before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.streams.formats.csv_cells import lines_of
from gristmill.streams.formats.csv_lines import CsvLines

PLAIN = st.text(alphabet="abé\u2028 ;.1\0", max_size=4)
CELLS = st.one_of(
    PLAIN,
    PLAIN,
    st.text(alphabet='a,;."\n\r\t\ud800', max_size=4),
    st.integers(),
    st.floats(),
    st.none(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)


@st.composite
def blocks(draw: st.DrawFn) -> list[list[list[Any]]]:
    """Columns of blocks that come one after another; most columns have plain text only."""
    width = draw(st.integers(1, 4))
    found = []
    for _ in range(draw(st.integers(1, 4))):
        height = draw(st.integers(1, 4))
        kinds = [draw(st.sampled_from([PLAIN, PLAIN, CELLS, st.floats()])) for _ in range(width)]
        found.append([draw(st.lists(kind, min_size=height, max_size=height)) for kind in kinds])
    return found


@given(blocks(), st.sampled_from(",;\t."))
def test_lines_are_those_made_column_by_column(drawn: list[list[list[Any]]], delimiter: str) -> None:
    names = [f"n{place}" for place in range(len(drawn[0]))]
    lines = CsvLines(names, delimiter)
    for columns in drawn:
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        assert lines.encode(rows) == lines_of(columns, delimiter).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("odd", ["x,y", '"', "\n", "\r", 1, 1.5, None, True, ["x"], "\ud800"])
def test_a_column_may_become_odd_at_any_time(odd: Any) -> None:
    lines = CsvLines(["a", "b"], ",")
    for value in ("x", odd, "x", odd):
        rows = [{"a": "1", "b": "x"}, {"a": "2", "b": value}]
        assert lines.encode(rows) == lines_of([["1", "2"], ["x", value]], ",").encode(
            "utf-8", "surrogatepass"
        )


def test_a_cell_that_stands_for_another_is_found_out() -> None:
    lines = CsvLines(["a", "b"], ",")
    lines.encode([{"a": "x,y", "b": "z"}])
    assert lines.encode([{"a": "x", "b": "y,z"}]) == b'x,"y,z"\n'
    assert lines.encode([{"a": "x,y", "b": "y,z"}]) == b'"x,y","y,z"\n'


def test_what_was_odd_once_is_looked_at_from_then_on() -> None:
    lines = CsvLines(list("abcdef"), ",")
    plain = dict(zip("abcdef", "uvwxyz", strict=True))
    assert lines.at_once([plain]) is None
    lines.encode([plain])
    assert lines.at_once([plain, plain]) == b"u,v,w,x,y,z\nu,v,w,x,y,z\n"
    for odd in ({"a": "1,\n2"}, {"c": 3.5}, {"b": '"'}):
        assert lines.at_once([plain, plain | odd]) is None
        assert lines.encode([plain | odd]) == lines.at_once([plain | odd])
    assert lines.at_once([plain | {"a": "\r", "b": "\n"}]) == b'"\r","\n",w,x,y,z\n'


def test_rows_of_mostly_odd_columns_are_written_column_by_column() -> None:
    lines = CsvLines(["a", "b", "c"], ",")
    row = {"a": 1, "b": "x", "c": "y,z"}
    assert lines.encode([row]) == lines.encode([row]) == b'1,x,"y,z"\n'
    assert lines.at_once([row]) is None


def test_a_lone_empty_cell_is_no_empty_line() -> None:
    lines = CsvLines(["a"], ",")
    for _ in range(2):
        assert lines.encode([{"a": "x"}]) == b"x\n"
        assert lines.encode([{"a": ""}]) == b'""\n'


def test_names_are_never_code() -> None:
    names = ['"] + exit()', "row", "cell0", "join", "a\nb"]
    lines = CsvLines(names, ",")
    for _ in range(2):
        assert lines.encode([dict(zip(names, "12345", strict=True))]) == b"1,2,3,4,5\n"


def test_a_row_without_a_column_is_an_error() -> None:
    lines = CsvLines(["a", "b"], ",")
    for _ in range(2):
        with pytest.raises(KeyError):
            lines.encode([{"a": "1", "c": "2"}])
        lines.encode([{"a": "1", "b": "2"}])
