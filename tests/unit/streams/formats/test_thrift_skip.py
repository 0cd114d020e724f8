from __future__ import annotations

import pytest

from gristmill.streams.formats.thrift_skip import list_head, read_varint, skip
from gristmill.streams.formats.thrift_tree import (
    BINARY,
    DOUBLE,
    I8,
    I32,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
)

STRING = 1 << 4 | BINARY


@pytest.mark.parametrize(
    ("kind", "encoded"),
    [
        (TRUE, b""),
        (I8, b"\xff"),
        (I32, b"\x7f"),
        (I64, b"\xff\xff\x03"),
        (DOUBLE, b"\xff" * 8),
        (UUID, b"\xff" * 16),
        (BINARY, b"\x03abc"),
        (BINARY, b"\x80\x01" + b"x" * 128),
        (LIST, b"\x05"),
        (LIST, bytes((3 << 4 | I32,)) + b"\x01\x80\x01\x02"),
        (LIST, bytes((15 << 4 | TRUE, 20)) + b"\x01" * 20),
        (SET, bytes((2 << 4 | DOUBLE,)) + b"\xff" * 16),
        (LIST, bytes((2 << 4 | BINARY,)) + b"\x01a\x02bc"),
        (LIST, bytes((2 << 4 | STRUCT,)) + b"\0" + bytes((STRING, 1, 65, 0))),
        (LIST, bytes((1 << 4 | LIST, 2 << 4 | I8, 1, 2))),
        (MAP, b"\0"),
        (MAP, bytes((2, BINARY << 4 | I32)) + b"\x01a\x02" + b"\x02bc\x80\x01"),
        (STRUCT, bytes((STRING, 2, 65, 66, 1 << 4 | TRUE, I64, 0x80, 0x02, 0x80, 0x01, 0))),
        (STRUCT, bytes((STRING, 0x80, 0x01)) + b"x" * 128 + b"\0"),
    ],
)
def test_a_value_is_passed_to_its_last_byte(kind: int, encoded: bytes) -> None:
    assert skip(b"\xee" + encoded + b"\x99\x99", 1, kind, 0) == 1 + len(encoded)


def test_an_integer_is_read_with_the_position_after_it() -> None:
    assert read_varint(b"\xee\x05\xee", 1) == (5, 2)
    assert read_varint(b"\xac\x02", 0) == (300, 2)
    assert read_varint(b"\xff" * 9 + b"\x01", 0) == (2**64 - 1, 10)


def test_a_list_says_what_it_holds() -> None:
    assert list_head(bytes((14 << 4 | I32,)), 0) == (I32, 14, 1)
    assert list_head(bytes((15 << 4 | I32, 0xAC, 2)) + b"\0" * 300, 0) == (I32, 300, 3)
