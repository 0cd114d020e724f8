from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.streams.formats.csv_cutting import cut
from gristmill.streams.formats.csv_records import Quotes, check_quotes, needed_quotes, spans
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect

LENIENT = Dialect(quoting="lenient")
PLAIN = Dialect(quoting="none")

TOKENS = [
    *'a,"\n\r',
    '""',
    '","',
    '"\n"',
    "\r\n",
    '",',
    ',"',
    '\n"',
    '"\n',
    '"a"',
    "\x0b",
    "\x1c",
    "\u2028",
    "\0",
]
HOSTILE = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)


@pytest.mark.parametrize(
    ("chunk", "at"),
    [
        (b"", None), (b"a,b\n", None), (b'"a","b"\n', None), (b'"a""b",""\r\n"""c",\n', None),
        (b'"\n,"', None),
        (b'a"b\n', 1), (b'a,b"\n', 3), (b'"a"b\n', 3), (b'"a" ,b\n', 3), (b'a,"b\nc\n', 2), (b'"', 0),
        (b'"a"\nb"', 5), (b'"""\n', 0), (b'"a","b"c,"d"', 7), (b'a,"b""\n', 2), (b'x\ty,"z"', None),
    ],
)  # fmt: skip
def test_the_first_quote_that_cannot_stand_there_is_told(chunk: bytes, at: int | None) -> None:
    assert check_quotes(chunk, COMMA) == at


def test_what_begins_a_cell_depends_on_the_delimiter() -> None:
    assert check_quotes(b'x\t"y,"\tz\n', TAB) is None
    assert check_quotes(b'x,"y"\n', TAB) == 2


def first_wrong(text: str) -> int | None:
    """RFC 4180 letter by letter."""
    state, opened = "start", 0
    for at, letter in enumerate(text):
        if state == "quoted":
            state = "closed" if letter == '"' else "quoted"
        elif letter in ",\r\n":
            state = "start"
        elif letter == '"' and state == "start":
            state, opened = "quoted", at
        elif letter == '"' and state == "closed":
            state = "quoted"
        elif letter == '"' or state == "closed":
            return at
        else:
            state = "unquoted"
    return opened if state == "quoted" else None


@given(HOSTILE)
@settings(max_examples=200, deadline=None)
def test_quotes_are_checked_as_the_rfc_says(text: str) -> None:
    found = check_quotes(text.encode(), COMMA)
    expected = first_wrong(text)
    assert found == (expected if expected is None else len(text[:expected].encode()))


def test_quotes_are_checked_as_the_rfc_says_in_every_short_text() -> None:
    for length in range(7):
        for letters in itertools.product('a,"\n', repeat=length):
            text = "".join(letters)
            assert check_quotes(text.encode(), COMMA) == first_wrong(text), text


@pytest.mark.parametrize("motif", [b'"a",', b'"', b'"\n', b'a"', b'""a,', b'",\n', b'",'])
def test_time_is_linear_in_what_comes(motif: bytes) -> None:
    chunk = motif * (500_000 // len(motif))  # quadratic time would not come back before the test's time is up
    check_quotes(chunk, COMMA)
    needed_quotes(chunk, COMMA, len(chunk))
    assert sum(end - start for start, end in spans(chunk, LENIENT)) == len(chunk)
    for dialect in (COMMA, LENIENT):
        cut(chunk, dialect, is_last=False)


def minimal(rows: list[list[str]]) -> str:
    """What a writer writes that quotes only what it must, each row with a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


CELL = st.text(st.sampled_from('ab,"\né'), max_size=4)


@given(st.lists(st.lists(CELL, min_size=2, max_size=3), max_size=8))
def test_needed_quotes_are_those_of_a_writer_that_quotes_only_what_it_must(rows: list[list[str]]) -> None:
    text = minimal(rows).encode()
    starts, dropped, at = [], [], 0
    for row in rows:
        for cell in row:
            is_quoted = bool(set(cell) & set(',"\n'))
            if is_quoted:
                starts.append(at)
                dropped.append(2 + cell.count('"'))
            at += len(cell.encode()) + (dropped[-1] if is_quoted else 0) + 1

    assert needed_quotes(text, COMMA, 100) == Quotes(starts, dropped)


def check_needed(text: str) -> None:
    data = text.encode()
    if needed_quotes(data, COMMA, 100) is None:
        return
    assert check_quotes(data, COMMA) is None, text
    if "\r" not in text:
        records = [data[start:end].decode() for start, end in spans(data, COMMA) if data[start:end] != b"\n"]
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
        assert "".join(records).removesuffix("\n") == minimal(rows).removesuffix("\n"), text


@given(HOSTILE)
@settings(max_examples=200, deadline=None)
def test_quotes_that_are_needed_are_where_they_may_be(text: str) -> None:
    check_needed(text)


def test_quotes_that_are_needed_are_where_they_may_be_in_every_short_text() -> None:
    for length in range(8):
        for text in itertools.product('a,"\n', repeat=length):
            check_needed("".join(text))


@pytest.mark.parametrize(
    "chunk",
    [
        b'"a",b\n',
        b'"",b\n',
        b'a,"b"\n',
        b'a"b,c\n',
        b'a,"b\n,',
        b'"a,"b\n',
        b'"a,b"\r\n',
        b'x,"a,b",c"\n',
        b'"',
    ],
)
def test_other_quotes_are_not_needed(chunk: bytes) -> None:
    assert needed_quotes(chunk, COMMA, 100) is None


def test_what_needs_quotes_depends_on_the_delimiter() -> None:
    assert needed_quotes(b'x\t"y\t"\tz\n', TAB, 100) == Quotes([2], [2])
    assert needed_quotes(b'x\t"y,"\tz\n', TAB, 100) is None
    assert needed_quotes(b'x,"y,"\n', PLAIN, 100) is None
    assert needed_quotes(b"x,y\n", PLAIN, 0) == Quotes()


def test_no_more_cells_with_quotes_are_found_than_were_asked_for() -> None:
    chunk = b'"a,b",c\n' * 1000
    assert needed_quotes(chunk, COMMA, 999) is None
    assert needed_quotes(chunk, COMMA, 1000) == Quotes(list(range(0, 8000, 8)), [2] * 1000)
    clean = b"a,b\n" * 20_000
    assert needed_quotes(clean + chunk, COMMA, 999) is None
    assert needed_quotes(clean + chunk, COMMA, 1000) is not None
    assert needed_quotes(chunk + clean, COMMA, 1000) is None  # who begins so goes on so


def rows_of(text: str, dialect: Dialect) -> list[list[str]]:
    quoting = csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL
    return list(csv.reader(io.StringIO(text, newline=""), quoting=quoting))


def check_spans(text: str, dialect: Dialect) -> None:
    data = text.encode()
    found = spans(data, dialect)
    assert [start for start, _ in found] + [len(data)] == [0] + [end for _, end in found], text
    alone = [rows_of(data[start:end].decode(), dialect) for start, end in found]
    assert alone == [[row] for row in rows_of(text, dialect)], text


@given(HOSTILE, st.sampled_from([LENIENT, PLAIN]))
@settings(max_examples=200, deadline=None)
def test_each_span_alone_is_the_row(text: str, dialect: Dialect) -> None:
    check_spans(text, dialect)


@pytest.mark.parametrize("dialect", [LENIENT, PLAIN])
def test_each_span_alone_is_the_row_in_every_short_text(dialect: Dialect) -> None:
    for length in range(7):
        for text in itertools.product('a,"\n\r', repeat=length):
            check_spans("".join(text), dialect)


@pytest.mark.parametrize("dialect", [COMMA, LENIENT])
def test_spans_lie_end_to_end_with_blank_lines_among_them(dialect: Dialect) -> None:
    assert spans(b'a\n\r\n"b\n",c\rd', dialect) == [(0, 2), (2, 4), (4, 11), (11, 12)]
    assert spans(b"", dialect) == []
