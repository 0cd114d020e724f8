from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from gristmill.errors import SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.ndjson_form import LineForm
from gristmill.streams.sources.protocol import Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head

FILE = Readable(path="in.ndjson", size=0, changed_ns=0)


class Item(msgspec.Struct):
    a: int


class Model(BaseModel):
    a: int


def blocks(text: bytes, kind: Any = Any, form: LineForm | None = None) -> list[Rows]:
    form = form or LineForm()
    head = form.head(text, "in.ndjson", is_last=True)
    assert head is not None
    chunk = Chunk(number=0, source=0, start=0, end=len(text), body=text)
    return list(form.recipe([head], [FILE]).rows(kind).read(chunk, 10))


def test_the_head_is_at_most_a_byte_order_mark() -> None:
    form = LineForm()
    assert form.head(b"\xef\xbb\xbf{}\n", "x", is_last=False) == Head(length=3, columns=None)
    assert form.head(b"", "x", is_last=True) == Head(length=0, columns=None)
    assert form.head(b"{}\n\0\n", "x", is_last=True) == Head(length=0, columns=None)  # spoils its line only
    with pytest.raises(SourceError, match="iconv"):
        form.head("{}\n".encode("utf-16"), "x", is_last=True)


@pytest.mark.parametrize("kind", [Item, Model, Item | None, Model | None])
def test_lines_that_are_not_of_the_type_fail_before_the_handler(kind: Any) -> None:
    (rows,) = blocks(b'{"a":1}\n\n{"a":"x"}\n{"a":2}\n{\n', kind)
    assert [item.a for item in rows.items] == [1, 2]
    assert (list(rows.numbers), rows.total, rows.blank) == ([0, 3], 4, 1)
    assert rows.bad[2].stage in ("validate", "parse")
    assert rows.bad[4].stage in ("parse", "validate")


def test_stages_tell_what_is_no_json_from_what_is_another_type() -> None:
    (rows,) = blocks(b'{"a":"x"}\nnope\n"\xff"\n', Item)
    assert [(bad.stage, bad.code) for _, bad in sorted(rows.bad.items())] == [
        ("validate", "invalid_item"),
        ("parse", "malformed_json"),
        ("parse", "bad_encoding"),
    ]


def test_a_row_that_is_no_model_is_json_and_told_in_one_line() -> None:
    (rows,) = blocks(b'{"a":"x"}\n[', Model)
    assert (rows.bad[0].stage, rows.bad[0].code) == ("validate", "invalid_item")
    assert rows.bad[0].message == "Input should be a valid integer, unable to parse string as an integer at a"
    assert rows.bad[1].code == "malformed_json"


def test_fields_are_selected_and_renamed_and_null_where_they_are_missing() -> None:
    (rows,) = blocks(b'{"a":1,"b":2}\n{"b":3}\n[1]\n', form=LineForm(select={"a": "A"}))
    assert rows.items == [{"A": 1}, {"A": None}]
    assert "an object is expected, not list" in rows.bad[2].message
    (typed,) = blocks(b'{"x":1}\n{"y":1}\n', Item, LineForm(select={"x": "a"}))
    assert typed.items == [Item(1)]
    assert list(typed.bad) == [1]


def test_a_selected_field_that_is_missing_leaves_a_type_to_its_default() -> None:
    class Defaulted(msgspec.Struct):
        a: int = 7

    (rows,) = blocks(b'{"x":1}\n{"y":1}\n', Defaulted, LineForm(select={"x": "a"}))
    assert rows.items == [Defaulted(1), Defaulted(7)]
    (plain,) = blocks(b'{"y":1}\n', dict[str, Any], LineForm(select={"x": "a"}))
    assert plain.items == [{"a": None}]


def test_a_dead_letter_has_what_was_selected_of_a_line() -> None:
    text = b'{"a":1,"b":2}\n[1]\n{"a":1e999}\n{"b":1}\n'
    head = Head(length=0, columns=None)
    reader = LineForm(select={"a": "A"}).recipe([head], [FILE]).rows(dict[str, int])
    (rows,) = reader.read(Chunk(number=0, source=0, start=0, end=len(text), body=text), 10)
    assert rows.items == [{"A": 1}]
    found = [reader.original(place, None) for place in rows.places()]
    assert found[0] == {"A": 1}
    assert bytes(found[1]) == b"[1]"
    assert found[2:] == [None, {"A": None}]


def test_places_are_those_of_the_lines_blank_ones_included() -> None:
    text = b"\xef\xbb\xbf" + b'{"a":1}\r\n\n{"a":\r2}'
    (rows,) = blocks(text)
    assert [text[place.start : place.end] for place in rows.places()] == [b'{"a":1}', b"", b'{"a":\r2}']
    assert list(rows.numbers) == [0, 2]


def test_blocks_count_on() -> None:
    found = blocks(b'{"a":1}\n' * 20_000 + b"\n" * 5 + b"nope\n" + b'{"a":2}\n' * 20_000)
    assert len(found) > 2
    assert [number for rows in found for number in rows.bad] == [20_005]
    assert found[-1].start + found[-1].total == 40_006
