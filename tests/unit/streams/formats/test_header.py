from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError, MalformedInput
from gristmill.streams.formats.dialect import COMMA, TAB, Dialect
from gristmill.streams.formats.header import read_header

BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("record", "names"),
    [
        (b"a,b\n", ["a", "b"]), (b"a,b\r\n", ["a", "b"]), (b"a,b\r", ["a", "b"]), (b"a", ["a"]),
        (BOM + b'"a",b\n', ["a", "b"]), (b"a,,c,\n", ["a", "_col2", "c", "_col4"]),
        (b",\n", ["_col1", "_col2"]),
        (b'"first\nname","a,b"\n', ["first\nname", "a,b"]), (b" a,A,a\n", [" a", "A", "a"]),
        ("é,e\u0301,\ufeffx\n".encode(), ["é", "e\u0301", "\ufeffx"]),
    ],
)  # fmt: skip
def test_names_are_what_stands_there(record: bytes, names: list[str]) -> None:
    assert read_header(record, COMMA) == names


def test_the_dialect_and_the_encoding_count() -> None:
    assert read_header(b"a\tb,c\n", TAB) == ["a", "b,c"]
    assert read_header(b'"a,b"\n', Dialect(quoting="none")) == ['"a', 'b"']
    assert read_header(b'5" pipe,"a"x\n', Dialect(quoting="lenient")) == ['5" pipe', "ax"]
    assert read_header(b"caf\xe9\n", COMMA, "latin-1") == ["café"]
    assert read_header(b"\xff\xfea\n", COMMA, "latin-1") == ["ÿþa"]


def test_a_name_that_is_there_twice_is_an_error_unless_told_otherwise() -> None:
    with pytest.raises(MalformedInput, match=r"'a', '_col3' more than once.*on_duplicate"):
        read_header(b"a,_col3,,a\n", COMMA)
    assert read_header(b"a,b,a,a,a_2\n", COMMA, on_duplicate="rename") == ["a", "b", "a_3", "a_4", "a_2"]
    assert read_header(b"a,b,a\n", COMMA, on_duplicate="first") == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("record", "message", "offset"),
    [
        (b"", "no header", 0), (BOM, "no header", 0), (b"\n", "no header", 0),
        (b"\xff\xfea\0,\0", r"UTF-16: convert first with iconv -f utf-16 -t utf-8", 0),
        (b"\xfe\xff\0a", "UTF-16", 0), (b"\xff\xfe\0\0a\0\0\0", "UTF-32", 0), (b"\0\0\xfe\xff", "UTF-32", 0),
        (b"a\0,\0b\0", "NUL byte at byte 1.*iconv", 1), (b"a,\xe9\n", "not utf-8.*byte 2.*encoding", 2),
        (b'a"b,c\n', "RFC 4180, at its byte 1", 1), (b'"a,b\n', "RFC 4180, at its byte 0", 0),
    ],
)  # fmt: skip
def test_what_is_no_header_is_told_with_the_way_out(record: bytes, message: str, offset: int) -> None:
    with pytest.raises(MalformedInput, match=message) as caught:
        read_header(record, COMMA)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "iso2022_jp", "utf-999"]
)
def test_records_are_not_looked_for_where_they_cannot_be_found(encoding: str) -> None:
    with pytest.raises(ConfigurationError, match=r"iconv -f|no encoding"):
        read_header(b"a,b\n", COMMA, encoding)


@pytest.mark.parametrize("encoding", ["shift_jis", "big5", "gb18030"])
def test_a_delimiter_that_is_half_a_character_is_refused(encoding: str) -> None:
    names: Any = read_header("名,前\n".encode(encoding), COMMA, encoding)
    assert names == ["名", "前"]
    with pytest.raises(ConfigurationError, match=r"'\|' is part of other characters"):
        read_header(b"a|b\n", Dialect("|"), encoding)
