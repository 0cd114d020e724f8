from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.sources.protocol import Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head

FILE = Readable(path="in.csv", size=0, changed_ns=0)


def head_of(form: CsvForm, text: bytes) -> Head:
    found = form.head(text, "in.csv", is_last=True)
    assert found is not None
    return found


def blocks(form: CsvForm, text: bytes, kind: Any = Any, batch: int = 10) -> list[Rows]:
    """Read a text as one chunk."""
    reader = form.recipe([head_of(form, text)], [FILE]).rows(kind)
    chunk = Chunk(number=0, source=0, start=0, end=len(text), is_last=True, body=text)
    return list(reader.read(chunk, batch))


def test_the_head_is_what_stands_before_the_first_row() -> None:
    form = CsvForm()
    assert head_of(form, b"a,b\n1,2\n") == Head(length=4, columns=("a", "b"))
    assert head_of(form, b"\xef\xbb\xbf\n\na,b\n1,2\n") == Head(length=9, columns=("a", "b"))
    assert head_of(form, b"\n\r\n") == Head(length=3, columns=None)
    assert form.head(b'"a\n', "in.csv", is_last=False) is None
    given = CsvForm(header=("x",))
    assert head_of(given, b"\xef\xbb\xbf1\n") == Head(length=3, columns=("x",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n".encode("utf-16"), "iconv"),
        (b"a\0,b\n", "NUL byte"),
        (b"a,a\n", "in.csv: the header names 'a' more than once"),
        (b'a"b,c\n', "quotes of the header"),
        (b"\xff,b\n", "give the encoding"),
    ],
)
def test_what_is_no_head_is_told_of_the_file(text: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        CsvForm().head(text, "in.csv", is_last=True)


def test_rows_have_numbers_and_places() -> None:
    (rows,) = blocks(CsvForm(), text := b'a,b\n1,2\n\n3\n"4","\n"\n')
    assert rows.items == [{"a": "1", "b": "2"}, {"a": "4", "b": "\n"}]
    assert (list(rows.numbers), list(rows.bad), rows.total, rows.blank) == ([0, 3], [2], 3, 1)
    assert rows.bad[2].code == "column_count"
    places = rows.places()
    assert [text[place.start : place.end] for place in places] == [b"1,2\n", b"\n", b"3\n", b'"4","\n"\n']
    assert [place.raw for place in places] == [text[place.start : place.end] for place in places]


def test_blocks_count_on() -> None:
    text = b"a\n" + b"12345678\n" * 50_000 + b"\n" * 10 + b"x,y\n" + b"1\n" * 70_000
    found = blocks(CsvForm(), text)
    assert len(found) > 3
    at = 0
    for rows in found:
        assert rows.start == at
        at += rows.total + rows.blank
    (bad,) = [number for rows in found for number in rows.bad]
    assert bad == 50_010
    (block,) = [rows for rows in found if rows.bad]
    assert block.places()[bad - block.start].raw == b"x,y\n"


def test_a_stray_quote_is_told_with_its_byte_in_the_file() -> None:
    with pytest.raises(SourceError, match=r"in.csv, byte 5: .*--quoting lenient"):
        blocks(CsvForm(), b'a,b\n1"2,3\n')
    assert blocks(CsvForm(dialect=Dialect(quoting="lenient")), b'a,b\n1"2,3\n')[0].items == [
        {"a": '1"2', "b": "3"}
    ]


def test_failed_rows_are_given_back_as_the_file_has_them() -> None:
    form = CsvForm(select={"b": "B"})
    reader = form.recipe([head_of(form, text := b'a,b\n1,"x\ny"\n')], [FILE]).rows(Any)
    chunk = Chunk(number=0, source=0, start=0, end=len(text), body=text)
    (rows,) = reader.read(chunk, 10)
    rows.items[0]["B"] = "changed by the handler"
    assert reader.original(rows.places()[0], rows.items[0]) == {"B": "x\ny"}


def test_columns_that_are_not_there_are_told_before_anything_runs() -> None:
    form = CsvForm(select={"c": "c"})
    with pytest.raises(ConfigurationError, match=r"there is no column 'c'; there is 'a', 'b'"):
        form.recipe([Head(length=4, columns=("a", "b"))], [FILE])
    heads = [Head(length=0, columns=None), Head(length=4, columns=("a", "b")), Head(length=2, columns=("b",))]
    with pytest.raises(SourceError, match=r"in.csv has no column a"):
        CsvForm().recipe(heads, [FILE] * 3)
    CsvForm(select={"b": "b"}).recipe(heads, [FILE] * 3)


def test_every_field_decides_the_identity_of_a_run() -> None:
    plain = CsvForm().options
    for other in (
        CsvForm(dialect=Dialect(";")),
        CsvForm(dialect=Dialect(quoting="none")),
        CsvForm(encoding="latin-1"),
        CsvForm(on_duplicate="first"),
        CsvForm(select={"a": "b"}),
        CsvForm(pad=True),
        CsvForm(extra="x"),
        CsvForm(header=("a",)),
    ):
        assert other.options != plain
