"""Cells that are split off at once are those of the module csv, or nobody's."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.streams.formats.csv_records import check_quotes
from gristmill.streams.formats.csv_splitting import split_cells
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect

LENIENT = Dialect(quoting="lenient")
PLAIN = Dialect(quoting="none")
FILLER = "x" * 200 + ",y\n"
"""Text enough for a few quoted cells."""


def split(text: str | bytes, width: int, dialect: Dialect = COMMA) -> list[list[str]] | None:
    chunk = text.encode() if isinstance(text, str) else text
    found = split_cells(chunk, "utf-8", dialect, width)
    return None if found is None else [list(row) for row in found]


def read(text: str, dialect: Dialect) -> list[list[str]]:
    return list(dialect.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,é\n",
        "1,2\r\n3,4",
        ",\n\u2028,\x0b\n",
        FILLER * 3 + 'a,"b, c"\n',
        FILLER * 3 + '"a\nb","c ""d"" e"\n"""",""\n',
        '"first",2\n' + FILLER,
        FILLER + '1,"last"',
        (FILLER + '"a\n\r,b",2\n' + FILLER).replace("y\n", "y\r\n").replace(",2\n", ",2\r\n"),
    ],
)
def test_regular_text_is_split(text: str) -> None:
    assert split(text, 2) == read(text, COMMA)


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3\n",
        "1,2,3\n4\n",
        "1\n2,3,4\n",
        "1,2\n\n3,4\n",
        "",
        "1,2\r3,4\r",
        "1,2\r\n3,4\n",
        "1,2\r\r\n\n3,4\n",
        "1,2\rx\n3,4\r\n",
        "1\r,2\n3,4\r\n",
        FILLER + '1,"2',
        FILLER + 'a"b,c"\n',
        FILLER + '"a"b,c\n',
        FILLER + ' "a",b\n',
        FILLER + 'a"b"c,d\n',
        FILLER + '"a"b"c",d\n',
    ],
)
def test_irregular_text_is_not(text: str) -> None:
    assert split(text, 2) is None


def test_a_blank_line_is_no_empty_cell() -> None:
    assert split("a\n\nb\n", 1) is None
    assert split("a\nb\n", 1) == [["a"], ["b"]]


def test_bytes_that_are_no_text_are_not_split() -> None:
    assert split(b"1,\xff\n", 2) is None
    assert split(FILLER.encode() + b'1,"\xff"\n', 2) is None
    assert split(FILLER.encode() + b'1,\xc3"\xa9"\n', 2) is None


def test_a_byte_order_mark_in_quotes_stays() -> None:
    chunk = (FILLER + '1,"\ufeffa"\n').encode()
    found = split_cells(chunk, "utf-8-sig", COMMA, 2)
    assert found is not None
    assert list(found)[1] == ("1", "\ufeffa")


@pytest.mark.parametrize("text", ['"a","b"\n' * 3, FILLER * 25 + '"a","b"\n' * 1000])
def test_text_with_many_quotes_is_not_split(text: str) -> None:
    assert split(text, 2) is None


def test_quotes_may_be_characters() -> None:
    assert split('1,"2\n', 2, PLAIN) == [["1", '"2']]
    assert split(FILLER + '1,"2,3"\n', 2, LENIENT) == [FILLER.strip().split(","), ["1", "2,3"]]


def test_a_cell_of_many_quotes_is_joined_once() -> None:
    cell = ("x" * 200 + '""') * 20_000
    assert split(f'1,"{cell}"\n', 2) == [["1", cell.replace('""', '"')]]


LINES = st.lists(
    st.sampled_from([
        "1,2", "a b,", ",", "x", "1,2,3", "", '"q",2', '"a,b","c"', '"a""b",1', 'a"b,2', '"a"b,1', '"a\nb",2',
        'x,"\n\n"', "é\u2028,\x0b\x1c", '"', '"a,1', "\ufeff,1", ' "a",1', '"""",""', '1,"\r\n"', "1\t2",
    ]),
    max_size=6,
)  # fmt: skip


@given(
    LINES,
    st.integers(0, 6),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\r\n"]),
    st.integers(1, 3),
)
@settings(max_examples=500, deadline=None)
def test_what_is_split_is_what_the_module_csv_reads(
    lines: list[str], place: int, end: str, last: str, width: int
) -> None:
    lines[place:place] = [",".join(["x" * 400] * width)]
    text = end.join(lines) + last
    for dialect in (COMMA, LENIENT, PLAIN, TAB):
        found = split(text, width, dialect)
        if found is not None:
            assert found == read(text, dialect)
            assert set(map(len, found)) == {width}
            assert dialect is PLAIN or check_quotes(text.encode(), dialect) is None
        elif "\r" not in text and '"' not in text:  # or it is not regular
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter))
            assert set(map(len, rows)) != {width} or width == 1
