from __future__ import annotations

import csv
import itertools
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.errors import MalformedInput
from gristmill.streams.formats.csv_cutting import cut, cut_tail, first_record
from gristmill.streams.formats.csv_records import check_quotes
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect

Chunks: TypeAlias = Callable[[bytes, Dialect, int], list[bytes]]
Rows: TypeAlias = Callable[[bytes, Dialect], list[list[str]]]
InChunks: TypeAlias = Callable[[bytes, Dialect, int], list[list[str]]]

LENIENT = Dialect(quoting="lenient")
PLAIN = Dialect(quoting="none")

TOKENS = [
    *'a,"\n\r', '""', '","', '"\n"', "\r\n", '",', ',"', '\n"', '"\n', '"a"', "\x0b", "\x0c", "\x1c", "\x85",
    "\u2028", "\0", "é", "\ufeff",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)
TARGETS = st.integers(1, 64)
CELLS = st.tuples(st.text(st.sampled_from('ab,"\n\r \x0b\x1c\u2028\0é'), max_size=6), st.booleans())
VALID = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=10)


def written(text: str, mark: str, *, quoted: bool) -> str:
    """A cell as RFC 4180 wants it; quoted also where it need not be."""
    return (
        '"' + text.replace('"', 2 * '"') + '"' if quoted or not text or set(text) & {mark, *'"\n\r'} else text
    )


def short_texts(longest: int) -> list[str]:
    return ["".join(t) for n in range(longest + 1) for t in itertools.product('a,"\n\r', repeat=n)]


def check_never_wrong(text: str, target: int, one_pass: Rows, in_chunks: InChunks) -> None:
    try:
        found = in_chunks(text.encode(), COMMA, target)
    except (MalformedInput, csv.Error):
        return  # told; never other rows
    assert found == one_pass(text.encode(), COMMA), (text, target)


@given(HOSTILE, TARGETS)
@settings(max_examples=300, deadline=None)
@example('a"b\n"c\nd"\n', 4)
@example('a,"b\r\nc"\r\n"d"\r\n', 3)
def test_hostile_quotes_give_the_rows_of_one_pass_or_an_error(
    one_pass: Rows, in_chunks: InChunks, text: str, target: int
) -> None:
    check_never_wrong(text, target, one_pass, in_chunks)


def test_no_short_file_at_all_is_read_wrongly(one_pass: Rows, in_chunks: InChunks) -> None:
    for text in short_texts(5):
        for target in (1, 3):
            check_never_wrong(text, target, one_pass, in_chunks)


@given(HOSTILE, TARGETS, st.sampled_from([LENIENT, PLAIN]))
@settings(max_examples=300, deadline=None)
def test_lenient_and_unquoted_files_give_the_rows_of_one_pass_whatever_is_in_them(
    one_pass: Rows, in_chunks: InChunks, text: str, target: int, dialect: Dialect
) -> None:
    assert in_chunks(text.encode(), dialect, target) == one_pass(text.encode(), dialect)


@pytest.mark.parametrize("dialect", [LENIENT, PLAIN])
def test_every_short_lenient_file_gives_the_rows_of_one_pass(
    one_pass: Rows, in_chunks: InChunks, dialect: Dialect
) -> None:
    for text in short_texts(5):
        expected = one_pass(text.encode(), dialect)
        for target in (1, 3):
            assert in_chunks(text.encode(), dialect, target) == expected, (text, target)


@given(VALID, TARGETS, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from(",\t;| ^]-\\"))
@settings(max_examples=300, deadline=None)
def test_a_valid_file_is_never_refused_and_always_whole(
    in_chunks: InChunks, rows: list[list[tuple[str, bool]]], target: int, end: str, mark: str
) -> None:
    lines = [mark.join(written(text, mark, quoted=quoted) for text, quoted in row) for row in rows]
    last_end = end if len(lines) % 2 else ""
    data = (end.join(lines) + last_end).encode()
    expected = [[text for text, _ in row] for row in rows]
    assert in_chunks(data, Dialect(mark), target) == expected
    assert in_chunks(data, Dialect(mark, "lenient"), target) == expected


@given(HOSTILE, TARGETS, st.sampled_from([COMMA, LENIENT, PLAIN]))
@settings(max_examples=200, deadline=None)
def test_no_cut_is_between_a_carriage_return_and_its_newline(
    chunks: Chunks, text: str, target: int, dialect: Dialect
) -> None:
    found = chunks(text.encode(), dialect, target)
    assert b"".join(found) == text.encode()
    assert not any(a.endswith(b"\r") and b.startswith(b"\n") for a, b in itertools.pairwise(found))


def check_tail(text: str, mark: str) -> None:
    data = text.encode()
    for dialect in (Dialect(mark), Dialect(mark, "none")):
        expected = cut(data, dialect, is_last=False)
        for start in range(len(data)):
            found = cut_tail(data[start:], dialect)
            assert found is None or start + found == expected, (text, start)


@given(VALID, st.sampled_from(["\n", "\r\n"]), st.sampled_from(",\t;| ^]-\\"))
@settings(max_examples=200, deadline=None)
def test_the_end_of_a_valid_text_is_cut_as_all_of_it_or_not_at_all(
    rows: list[list[tuple[str, bool]]], end: str, mark: str
) -> None:
    lines = [mark.join(written(text, mark, quoted=quoted) for text, quoted in row) for row in rows]
    check_tail(end.join(lines), mark)


def test_the_end_of_every_short_valid_text_is_cut_as_all_of_it_or_not_at_all() -> None:
    for text in short_texts(6):
        if check_quotes(text.encode(), COMMA) is None:
            check_tail(text, ",")


def told_by_tails(data: bytes, target: int, tail: int, one_pass: Rows) -> list[list[str]]:
    """Rows in chunks that are cut by their ends alone where these tell."""
    rows, at = [], 0
    while at < len(data):
        size, end = target, None
        while end is None and at + size < len(data):
            window = data[at : at + size]
            told = cut_tail(window[-tail:], COMMA)
            end = size - min(size, tail) + told if told else cut(window, COMMA, is_last=False)
            size *= 2
        chunk = data[at:] if end is None else data[at : at + end]
        if (wrong := check_quotes(chunk, COMMA)) is not None:
            raise MalformedInput("quotes", offset=wrong)
        rows += one_pass(chunk, COMMA)
        at += len(chunk)
    return rows


@given(HOSTILE, TARGETS, st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_hostile_quotes_at_the_ends_of_chunks_give_the_rows_of_one_pass_or_an_error(
    one_pass: Rows, text: str, target: int, tail: int
) -> None:
    check_never_wrong(text, target, one_pass, lambda data, _, size: told_by_tails(data, size, tail, one_pass))


def test_no_short_file_whose_chunks_are_cut_by_their_ends_is_read_wrongly(one_pass: Rows) -> None:
    for text in short_texts(6):
        for target in (3, 4):
            check_never_wrong(
                text, target, one_pass, lambda data, _, size: told_by_tails(data, size, 3, one_pass)
            )


@pytest.mark.parametrize(
    ("tail", "length"),
    [
        (b'x,"y"\nz', 6), (b'x\ny,"z\n"\n1,"\n', 9), (b'\n"x\n",y\n"', 8),
        (b'"x\n', None), (b'y"\nx', None), (b'""x\ny', None), (b'x,"",y\nz', None), (b'x,"\ny', None),
        (b',"y', None), (b'x,"y\nz', None), (b"x\ny", None), (b"", None),
    ],
)  # fmt: skip
def test_a_quote_that_can_only_open_a_cell_tells_which_line_ends_are_ends(
    tail: bytes, length: int | None
) -> None:
    assert cut_tail(tail, COMMA) == length


def test_ends_of_other_dialects_are_cut_where_they_tell() -> None:
    assert cut_tail(b'x,"y\nz', PLAIN) == 5
    assert cut_tail(b"x", PLAIN) is None
    assert cut_tail(b'x,"y"\nz', LENIENT) is None
    assert cut_tail(b'x,"y"\nz', TAB) is None


@pytest.mark.parametrize("dialect", [COMMA, LENIENT, PLAIN])
def test_as_much_as_can_be_is_taken(dialect: Dialect) -> None:
    assert cut(b"a\nb\nc", dialect, is_last=False) == 4
    assert cut(memoryview(b"a\nb\nc"), dialect, is_last=False) == 4
    assert cut(b"a\nb\nc", dialect, is_last=True) == 5
    assert cut(b"abc", dialect, is_last=False) is None
    assert cut(b"a\r", dialect, is_last=False) is None
    assert cut(b"a\rb\rc", dialect, is_last=False) == 4


@pytest.mark.parametrize("dialect", [COMMA, LENIENT])
def test_a_line_end_in_quotes_is_none(dialect: Dialect) -> None:
    assert cut(b'a\n"b\nc', dialect, is_last=False) == 2
    assert cut(b'"b\nc', dialect, is_last=False) is None
    assert cut(b'a\n"b\nc"\n"d""\n"",\n', dialect, is_last=False) == 8
    assert cut(b'a\n"b\nc', PLAIN, is_last=False) == 5


@pytest.mark.parametrize("dialect", [COMMA, LENIENT])
@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_many_line_ends_in_quotes_are_none(dialect: Dialect, end: bytes) -> None:
    record = b",".join([b'"a' + end + b'"'] * 300)
    assert cut(record + b"," + record[:-1], dialect, is_last=False) is None
    assert cut(b"x" + end + record + end + record + b",", dialect, is_last=False) == 3 + len(record)
    assert cut(b"x" + end + record[:-1] + b'""' + end, dialect, is_last=False) == 2


def test_stray_quotes_are_characters_in_lenient_files_only() -> None:
    assert cut(b'5" pipe\n6" pipe\n7" pipe\n"x', LENIENT, is_last=False) == 24
    assert cut(b'5" pipe\n6 pipe\n', COMMA, is_last=False) is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", ["rfc4180", "lenient", "none"])
def test_chunks_are_small_whatever_ends_the_lines(chunks: Chunks, end: str, quoting: str) -> None:
    dialect = Dialect(quoting=quoting)  # type: ignore[arg-type]
    found = chunks(f"aaaa,bbbb{end}".encode() * 100, dialect, 50)
    assert max(map(len, found)) <= 50


def test_the_first_record_is_the_header() -> None:
    assert first_record(b"a,b\n1,2\n", COMMA, is_last=False) == (0, 4)
    assert first_record(b'\xef\xbb\xbf"a\n,b",c\r\n1,2\n', COMMA, is_last=False) == (3, 13)
    assert first_record(b"\n\r\n\ra\tb\r1", TAB, is_last=False) == (4, 8)
    assert first_record(b'\n"a\nb', PLAIN, is_last=False) == (1, 4)
    assert first_record(b'"a\nb', COMMA, is_last=False) is None
    assert first_record(b"\n\n", COMMA, is_last=False) is None


@pytest.mark.parametrize("dialect", [COMMA, LENIENT, PLAIN])
def test_the_first_record_may_be_the_last(dialect: Dialect) -> None:
    assert first_record(b"a,b", dialect, is_last=False) is None
    assert first_record(b"a,b\r", dialect, is_last=False) is None
    assert first_record(b"a,b\r", dialect, is_last=True) == (0, 4)
    assert first_record(b"a,b", dialect, is_last=True) == (0, 3)
    assert first_record(b"\xef\xbb\xbf", dialect, is_last=True) is None
    assert first_record(b"\n\n", dialect, is_last=True) is None
    assert first_record(b"", dialect, is_last=True) is None
