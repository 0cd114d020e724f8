from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill import batch
from gristmill.errors import MalformedInput
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.jobs import csv_records, row_reading
from gristmill.http.jobs.checking import Checker
from gristmill.http.jobs.csv_rows import CsvOptions, RowCodec
from gristmill.http.jobs.row_reading import RowReading
from gristmill.http.problems import Refused, Statuses
from gristmill.http.settings import HttpLimits
from gristmill.model.settling import Failure
from gristmill.streams.formats.csv_cutting import first_record
from gristmill.streams.formats.csv_rows import parse_rows
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect
from gristmill.streams.formats.header import read_header
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.typed_rows import converter


class Pair(msgspec.Struct):
    a: str
    b: int = 7


@batch(name="pairs")
async def pairs(items: list[Pair]) -> list[Pair]:
    return items


@pytest.fixture(autouse=True, params=[1, 1 << 20], ids=["by patterns", "by steps"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_records, "_WORTH_IT", request.param)


def read(body: bytes, options: CsvOptions | None = None, *, piece: int = 1000, item_bytes: int = 1000) -> Any:
    bench = Bench(pairs, HttpLimits(item_bytes=item_bytes), Statuses(), Drain([]))
    found = RowReading(Checker(bench, strict=False), RowCodec(bench.items), options or CsvOptions())
    entries = []
    for start in range(0, len(body), piece):
        entries += found.feed(body[start : start + piece])
    entries += found.finish()
    return [entry.code if isinstance(entry, Failure) else entry.item for entry in entries]


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_a_bad_row_fails_alone_by_the_code_a_file_would_give(piece: int) -> None:
    body = b"a,b\nx,1\n\nx\nx,1,2\n\xff,1\nx\0,1\nx,q\n" + b"y" * 50 + b"\nx,\n"
    assert read(body, piece=piece, item_bytes=30) == [
        Pair("x", 1), "column_count", "column_count", "bad_encoding", "nul_byte", "invalid_item", "too_large",
        Pair("x"),
    ]  # fmt: skip


def test_dialects_are_those_of_files() -> None:
    assert read(b"a\tb\nx,y\t1\n", CsvOptions(TAB)) == [Pair("x,y", 1)]
    assert read(b"a;b\rx;1\r", CsvOptions(Dialect(";"))) == [Pair("x", 1)]
    assert read(b'a,b\n5" pipe,1\n', CsvOptions(Dialect(quoting="lenient"))) == [Pair('5" pipe', 1)]
    assert read(b'a,b\n"x,1\n', CsvOptions(Dialect(quoting="none"))) == [Pair('"x', 1)]
    assert read(b"a,b\n\xe9,1\n", CsvOptions(encoding="cp1252")) == [Pair("é", 1)]
    assert read(b"a,b,a\nx,1,y\n", CsvOptions(on_duplicate="first")) == [Pair("x", 1)]


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize("row", [b'5" pipe,1', b'"x"y,1', b'"x,1', b'x,"1'])
def test_a_quote_that_hides_where_records_end_refuses_the_body_with_its_line(row: bytes, piece: int) -> None:
    with pytest.raises(Refused) as caught:
        read(b'a,b\n"x\n",1\n' + row + b"\ny,2\n", piece=piece)
    assert caught.value.problem.code == "malformed_csv"
    assert str(caught.value.problem.detail).startswith("the record on line 4: ")


def test_a_stray_quote_in_a_record_that_is_too_long_swallows_nothing_in_silence() -> None:
    swallowed = b"a,b\n" + b'x,"' + b"y,1\n" * 20
    for body in (swallowed, swallowed + b'z,"1\n'):
        with pytest.raises(Refused, match="malformed_csv"):
            read(body, item_bytes=30)
        assert read(body, CsvOptions(Dialect(quoting="lenient")), item_bytes=30)[0] == "too_large"


def test_blocks_are_parsed_when_they_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def sized(block: bytes, *args: Any) -> Any:
        sizes.append(len(block))
        return parse_rows(block, *args)

    monkeypatch.setattr(row_reading, "_BLOCK", 8)
    monkeypatch.setattr(row_reading, "parse_rows", sized)
    body = b"a,b\n" + b"".join(b"x,%d\n" % number for number in range(50))
    assert read(body, piece=100) == [Pair("x", number) for number in range(50)]
    assert max(sizes) <= 8 + len(b"x,49\n")


def of_file(body: bytes, options: CsvOptions) -> Any:
    """Return what ``gristmill run`` reads of a file: items and codes."""
    dialect = options.dialect
    header = first_record(body, dialect, is_last=True)
    layout = Layout(read_header(body[slice(*header)] if header else b"", dialect))
    found = parse_rows(body[header[1] :] if header else b"", layout, dialect)
    convert = converter(Pair)
    assert convert is not None
    items, numbers, invalid = convert.all(found.rows, found.records)
    told = dict(zip(numbers, items, strict=True)) | {
        number: bad.code for number, bad in (found.bad | invalid).items()
    }
    return [each for _, each in sorted(told.items())]


TEXT = st.lists(
    st.sampled_from([*'ab1,"\n\r;\0', '""', '","', "\r\n", ',"', '\n"', '"\n', ",1\n", " ", "é"]), max_size=25
).map("".join)
BODY = st.tuples(st.sampled_from(["", "a,b\n", "a;b\r\n", '\ufeff"b","a"\r']), TEXT).map("".join)
DIALECTS = st.sampled_from([COMMA, Dialect(quoting="lenient"), Dialect(quoting="none"), Dialect(";")])


@given(BODY, st.integers(1, 9), DIALECTS, st.sampled_from([b"", b"\xff,1\n"]))
def test_a_body_is_read_as_a_file_of_the_same_bytes_is(
    text: str, piece: int, dialect: Dialect, last: bytes
) -> None:
    body = text.encode() + last
    options = CsvOptions(dialect)
    try:
        expected = of_file(body, options)
    except MalformedInput:
        with pytest.raises(Refused, match="malformed_csv"):
            read(body, options, piece=piece)
    else:
        assert read(body, options, piece=piece) == expected
