from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.jobs import csv_records
from gristmill.http.jobs.csv_records import Quotes, Records
from gristmill.streams.formats.csv_records import spans
from gristmill.streams.formats.dialect import COMMA, Dialect


@pytest.fixture(autouse=True, params=[1, 1 << 20], ids=["by patterns", "by steps"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "_WORTH_IT", request.param)


def pieces_of(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def records(
    body: bytes, *, piece: int = 3, limit: int = 1000, dialect: Dialect = COMMA
) -> list[bytes | None]:
    found = Records(limit, dialect)
    fed = [record for chunk in pieces_of(body, piece) for record in found.feed(chunk)]
    return fed + list(found.finish())


def test_a_record_goes_over_the_lines_of_its_quoted_cells() -> None:
    assert records(b'a,b\n1,"x\n\ny"\n\n2,"""z"""') == [b"a,b\n", b'1,"x\n\ny"\n', b'2,"""z"""\n']


def test_lines_may_end_in_any_way() -> None:
    assert records(b'a\rb\r\n\rc\n"d\re\r\n"\r') == [b"a\r", b"b\r\n", b"c\n", b'"d\re\r\n"\r']


def test_a_record_that_is_too_long_stands_as_none_and_the_next_is_whole() -> None:
    assert records(b"a\n" + b"x" * 50 + b"\nb\n", limit=10) == [b"a\n", None, b"b\n"]
    assert records(b'"' + b"x\n" * 50 + b'"\nb\n', limit=10) == [None, b"b\n"]


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_lines_of_a_cell_that_is_too_long_are_no_records(piece: int) -> None:
    body = b'a,"' + b"x" * 50 + b'\nevil,row\n"\nb,c\n'
    assert records(body, piece=piece, limit=10) == [None, b"b,c\n"]


def test_quotes_that_are_never_closed_leave_one_record_that_says_so() -> None:
    found = Records(1000)
    assert list(found.feed(b'a\n"b\nc\n')) == [b"a\n"]
    assert (list(found.finish()), found.is_stray) == ([b'"b\nc\n'], True)


def test_a_record_knows_the_line_it_began_on() -> None:
    found = Records(1000)
    lines = [found.line for _ in found.feed(b'a\n\r\r\n"b\nc"\nd\n')]
    assert lines == [1, 4, 6]


@pytest.mark.parametrize(
    ("line", "is_open", "is_stray"),
    [
        (b"a,b", False, False), (b'"a', True, False), (b'a,"b', True, False), (b'5" pipe,x', False, True),
        (b'"a""', True, False), (b'"a""b",c', False, False), (b'"end"', False, False), (b"", False, False),
        (b'"e",x,"y', True, False), (b'""', False, False), (b'"a"",b', True, False), (b'"a" ,b', False, True),
        (b'"a"b"', False, True), (b'"a",', False, False), (b'a"",b', False, True), (b'"a"\r\n', False, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 2, 100])
def test_only_quotes_at_the_beginning_of_a_cell_open_it(
    line: bytes, piece: int, *, is_open: bool, is_stray: bool
) -> None:
    quotes = Quotes()
    for part in pieces_of(line, piece):
        quotes.follow(part)
    assert (quotes.is_open, quotes.is_stray) == (is_open, is_stray)


CELLS = st.text(st.sampled_from('ab",\n\r é'), max_size=8)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6)


@given(ROWS, st.integers(1, 7), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_the_csv_module_writes_comes_back(rows: list[list[str]], piece: int, end: str) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    body = written.getvalue().encode()
    found = [
        next(COMMA.reader(io.StringIO(record.decode(), newline="")))
        for record in records(body, piece=piece)
        if record
    ]
    assert found == rows


HOSTILE = st.lists(
    st.sampled_from([*'ab,"\n\r;', '""', '","', '"\n"', "\r\n", ',"', '\n"', '"\n', '"\r', " ", "é"]),
    max_size=30,
).map("".join)
DIALECTS = st.sampled_from(
    [Dialect(quoting="lenient"), Dialect(";", "lenient"), Dialect(quoting="none"), Dialect(" ", "none")]
)


@given(HOSTILE, st.integers(1, 7), DIALECTS)
def test_a_body_has_the_records_that_a_file_of_the_same_bytes_has(
    text: str, piece: int, dialect: Dialect
) -> None:
    body = text.encode()
    expected = [body[start:end] for start, end in spans(body, dialect) if body[start:end].strip(b"\r\n")]
    found = records(body, piece=piece, dialect=dialect)
    if found and not body.endswith((b"\r", b"\n")):  # the last one gets an end, unless quotes are open
        assert found[-1] in (expected[-1], expected[-1] + b"\n")
        found[-1] = expected[-1]
    assert found == expected


@given(HOSTILE, st.integers(1, 5))
def test_a_limit_passes_over_records_and_moves_no_other(text: str, limit: int) -> None:
    body = text.encode()
    whole, limited = records(body), records(body, piece=2, limit=limit)
    assert len(whole) == len(limited)
    assert all(short in (None, record) for record, short in zip(whole, limited, strict=True))


def test_single_bytes_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count the bytes that are followed: as many as there are, whatever the pieces."""

    class Counting(Quotes):
        seen = 0

        def follow(self, text: bytes) -> None:
            Counting.seen += len(text)
            super().follow(text)

    body = b'a,"' + b"x\n" * 5_000 + b'"\nb\n'
    monkeypatch.setattr(csv_records, "Quotes", Counting)
    found = Records(100)
    taken = [record for chunk in pieces_of(body, 1) for record in found.feed(chunk)]
    assert (taken, Counting.seen) == ([None, b"b\n"], len(body))
