from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import MalformedInput
from gristmill.streams.formats.csv_records import spans
from gristmill.streams.formats.csv_rows import parse_cells, parse_rows
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.parsed import BadRow

Chunks: TypeAlias = Callable[[bytes, Dialect, int], list[bytes]]

LENIENT = Dialect(quoting="lenient")
PLAIN = Dialect(quoting="none")
AB = Layout(("a", "b"))


def rows_of(text: str | bytes, layout: Layout = AB, dialect: Dialect = COMMA) -> list[dict[str, str]]:
    found = parse_rows(text.encode() if isinstance(text, str) else text, layout, dialect)
    assert (found.bad, found.blank, found.records) == ({}, 0, range(len(found.rows)))
    return found.rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_records_become_dicts_of_strings(end: str, *, last: bool) -> None:
    text = end.join(["1,007", "NA,", '"x,""y""",z', f'"{end}",é']) + (end if last else "")
    cells = [("1", "007"), ("NA", ""), ('x,"y"', "z"), (end, "é")]
    assert rows_of(text) == [{"a": a, "b": b} for a, b in cells]
    assert parse_cells(text.encode(), AB, COMMA).rows == cells


def test_nothing_has_no_rows() -> None:
    assert rows_of("") == []


def test_a_record_of_another_width_spoils_itself_alone() -> None:
    found = parse_rows(b"1,2\n3\n4,5,6\n7,8\n", AB, COMMA)
    assert found.rows == [{"a": "1", "b": "2"}, {"a": "7", "b": "8"}]
    assert list(found.records) == [0, 3]
    assert found.bad == {
        1: BadRow("column_count", "the record has 1 cells, not 2"),
        2: BadRow("column_count", "the record has 3 cells, not 2"),
    }


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_blank_lines_are_counted_and_are_no_rows(names: tuple[str, ...], end: str) -> None:
    row = ",".join("x" for _ in names)
    found = parse_rows(f"{end}{row}{end}{end}{row}{end}".encode(), Layout(names), COMMA)
    assert found.rows == [dict.fromkeys(names, "x")] * 2
    assert (list(found.records), found.blank, found.bad) == ([1, 3], 2, {})


def test_a_quoted_cell_that_is_empty_is_no_blank_line() -> None:
    assert rows_of('""\nx\n', Layout(("a",))) == [{"a": ""}, {"a": "x"}]


def test_missing_cells_may_be_empty_and_surplus_ones_kept() -> None:
    found = parse_rows(b'1\n2,3\n4,5,6,"7,8"\n', Layout(("a", "b"), pad=True, extra="more"), COMMA)
    assert found.rows == [
        {"a": "1", "b": "", "more": ""},
        {"a": "2", "b": "3", "more": ""},
        {"a": "4", "b": "5", "more": '6,"7,8"'},
    ]
    assert found.bad == {}
    assert parse_cells(b"1,2\n", Layout(("a", "b"), extra="more"), COMMA).rows == [("1", "2", "")]
    assert parse_cells(b"1,2,3\n", Layout(("a", "b"), extra="more"), COMMA).rows == [("1", "2", "3")]
    assert parse_rows(b"1\n", Layout(("a", "b"), extra="more"), COMMA).bad[0].code == "column_count"
    assert parse_rows(b"1,2,3\n", Layout(("a", "b"), pad=True), COMMA).bad[0].code == "column_count"


def test_columns_are_selected_and_renamed() -> None:
    layout = Layout(("a", "b", "c"), select={"c": "third", "a": "a"})
    assert rows_of("1,2,3\n", layout) == [{"third": "3", "a": "1"}]
    assert parse_cells(b"1,2,3\n\n4,5,6\n", layout, COMMA).rows == [("3", "1"), ("6", "4")]


def test_the_first_of_two_columns_of_one_name_counts() -> None:
    assert rows_of("1,2,3\n", Layout(("a", "b", "a"))) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize("width", [1, 2, 24, 25, 300])
@pytest.mark.parametrize("extra", [None, "more"])
def test_files_may_be_wide(width: int, extra: str | None) -> None:
    names = tuple(f"n{place}" for place in range(width))
    cells = [f"c{place}" for place in range(width)]
    row = dict(zip(names, cells, strict=True)) | ({} if extra is None else {extra: ""})
    text = ",".join(cells) + "\n"
    assert rows_of(text * 2, Layout(names, extra=extra)) == [row, row]
    assert len(parse_rows((text + "x,y\n" * 2).encode(), Layout(names, extra=extra), COMMA).rows) == (
        1 if width != 2 else 3
    ) + (2 if width == 1 and extra else 0)


def test_the_name_of_a_column_is_never_code() -> None:
    names = ("__import__('os')", '"}]', "a\nb")
    assert rows_of("1,2,3\n", Layout(names)) == [dict(zip(names, "123", strict=True))]


def test_bytes_that_are_no_text_spoil_their_record_alone() -> None:
    chunk = b'1,2\r3,\xff"\r\n\n"4\n\xff",5\n6,"7\n8"\n'
    found = parse_rows(chunk, AB, LENIENT)
    assert found.rows == [{"a": "1", "b": "2"}, {"a": "6", "b": "7\n8"}]
    assert (list(found.records), found.blank) == ([0, 4], 1)
    assert found.bad == {
        1: BadRow("bad_encoding", "byte 2 of the record, 0xff, is not utf-8"),
        3: BadRow("bad_encoding", "byte 3 of the record, 0xff, is not utf-8"),
    }
    assert [chunk[start:end] for start, end in map(spans(chunk, LENIENT).__getitem__, found.bad)] == [
        b'3,\xff"\r\n',
        b'"4\n\xff",5\n',
    ]


def test_an_encoding_may_be_given() -> None:
    assert parse_rows(b"\xe9,\x80\n", AB, COMMA, "cp1252").rows == [{"a": "é", "b": "€"}]


def test_nul_bytes_spoil_their_record_unless_they_may_be() -> None:
    found = parse_rows(b'1,2\n\0,4\n"5","6\0"\n7,8\n', AB, COMMA)
    assert [row["a"] for row in found.rows] == ["1", "7"]
    assert {index: bad.code for index, bad in found.bad.items()} == {1: "nul_byte", 2: "nul_byte"}
    assert rows_of("\0,4\n", Layout(("a", "b"), allow_nul=True)) == [{"a": "\0", "b": "4"}]
    assert parse_rows(b"\0,4\n\n", Layout(("a", "b"), allow_nul=True), COMMA).bad == {}


@pytest.mark.parametrize("cell", ["x" * 300_000, '"' + "x\n" * 150_000 + '"'])
def test_cells_may_be_long(cell: str) -> None:
    (row,) = rows_of(f"{cell},b\n")
    assert row == {"a": cell.strip('"'), "b": "b"}


def test_quotes_that_cannot_be_are_an_error_with_the_place_and_the_way_out() -> None:
    with pytest.raises(MalformedInput, match=r"byte 9 .*lenient") as caught:
        parse_rows(b'a,b\n1,2 i"n\n', AB, COMMA)
    assert caught.value.offset == 9
    assert rows_of('1,2 i"n\n', dialect=LENIENT) == [{"a": "1", "b": '2 i"n'}]
    assert rows_of('1,"2\n', dialect=PLAIN) == [{"a": "1", "b": '"2'}]
    assert rows_of('1\t"a\tb"\n', dialect=TAB) == [{"a": "1", "b": "a\tb"}]


def test_few_lines_with_quotes_among_many_without() -> None:
    plain = "1,2\n" * 5
    assert rows_of(f'{plain}"3,","4"""\n{plain}') == [
        *rows_of(plain), {"a": "3,", "b": '4"'}, *rows_of(plain),
    ]  # fmt: skip
    assert rows_of(f'{plain}3,"4\n5,6\n7"\n{plain}') == [
        *rows_of(plain), {"a": "3", "b": "4\n5,6\n7"}, *rows_of(plain),
    ]  # fmt: skip
    assert rows_of(f'{plain}3,"4\n5,6\n7,8"\n{plain}9,"0\n"\n')[5:7] == [
        {"a": "3", "b": "4\n5,6\n7,8"},
        {"a": "1", "b": "2"},
    ]


LINES = st.sampled_from([
    "1,2", "a b,", ",", "x", "1,2,3", "", '"q",2', '"a,b","c"', '"a""b",1', 'a"b,2', '"a"b,1', '"a\nb",2',
    'x,"\n\n"', "é\u2028,\x0b\x1c", '"', '"a,1', "\ufeff,1", ' "a",1', "\udcff,2",
])  # fmt: skip
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def files(draw: st.DrawFn) -> str:
    """Files whose lines mostly end alike, with few quotes or many."""
    lines = draw(st.lists(LINES, max_size=4)) * draw(st.integers(1, 2))
    lines += ["1,2"] * draw(st.integers(0, 8))
    lines = draw(st.permutations(lines))
    end = draw(ENDS)
    odd = draw(st.integers(0, 12))
    return "".join(line + (draw(ENDS) if place == odd else end) for place, line in enumerate(lines))


def is_text(row: list[str]) -> bool:
    return "\udcff" not in "".join(row)  # what an undecodable byte is here


@given(files(), st.integers(1, 64), st.sampled_from([COMMA, LENIENT, PLAIN]), st.sampled_from([1, 2, 3]))
@settings(max_examples=500, deadline=None)
def test_chunk_by_chunk_the_rows_are_those_of_the_module_csv(
    chunks: Chunks, text: str, target: int, dialect: Dialect, width: int
) -> None:
    layout = Layout(tuple("abc"[:width]))
    expected = list(
        csv.reader(
            io.StringIO(text, newline=""),
            quoting=csv.QUOTE_NONE if dialect is PLAIN else csv.QUOTE_MINIMAL,
        )
    )
    cells, bad, blank, at = [], set(), 0, 0
    try:
        for chunk in chunks(text.encode(errors="surrogateescape"), dialect, target):
            found = parse_cells(chunk, layout, dialect)
            assert [dict(zip("abc", row, strict=False)) for row in found.rows] == parse_rows(
                chunk, layout, dialect
            ).rows
            cells += [(at + place, row) for place, row in zip(found.records, found.rows, strict=True)]
            bad |= {at + place for place in found.bad}
            blank += found.blank
            at += len(spans(chunk, dialect))
    except MalformedInput:
        assert dialect is COMMA
        return
    good = [(place, tuple(row)) for place, row in enumerate(expected) if len(row) == width and is_text(row)]
    assert cells == good
    assert bad == {place for place, row in enumerate(expected) if row} - {place for place, _ in good}
    assert blank == expected.count([])
