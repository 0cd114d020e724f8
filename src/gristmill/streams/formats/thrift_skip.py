"""How far an encoded Thrift value goes: positions, and no values made of the bytes between.

Most of a Parquet footer is statistics and encodings that nobody looks at, so
a join spends its time here. A function takes a position and returns the one
after what it passed; one past the end shows as an ``IndexError`` at the next
byte, or to the caller, who knows where the end is.
"""

from __future__ import annotations

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.thrift_tree import (
    BINARY,
    DOUBLE,
    FALSE,
    I8,
    I16,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
)

MORE = 0x80  # the bit of a byte of a varint that says that more bytes follow
SHORT = 15  # sizes of lists and gaps between field ids up to here share a byte with the kind

_DEEPEST = 64  # levels of nesting; Parquet has about eight
_LONGEST = 63  # bits before the last byte of a varint: 64-bit integers take ten bytes
_WIDTHS = {TRUE: 0, FALSE: 0, I8: 1, DOUBLE: 8, UUID: 16}  # bytes of values that are always as long


def check_depth(depth: int) -> None:
    """Refuse what nests deeper than a footer can."""
    if depth > _DEEPEST:
        raise ParquetInvalid(f"The metadata nests deeper than {_DEEPEST} levels; the file is damaged.")


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned integer, and the position after it."""
    byte = data[at]
    if byte < MORE:
        return byte, at + 1
    value = byte & 0x7F
    shift = 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < MORE:
            return value, at + 1
        shift += 7
        if shift > _LONGEST:
            raise ParquetInvalid(
                f"The metadata has an integer of more than 64 bits at byte {at}; the file is damaged."
            )


def list_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the kind of the elements of a list or set, how many there are, and where the first is."""
    head = data[at]
    size = head >> 4
    if size < SHORT:
        return head & 0x0F, size, at + 1
    size, at = read_varint(data, at + 1)
    _check_size(data, at, size)
    return head & 0x0F, size, at


def map_head(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Return the kinds of keys and values of a map, how many pairs there are, and where the first is."""
    size, at = read_varint(data, at)
    if not size:
        return 0, 0, 0, at
    _check_size(data, at, size)
    return data[at] >> 4, data[at] & 0x0F, size, at + 1


def _check_size(data: bytes, at: int, size: int) -> None:
    """Refuse more elements than bytes are left; else damage could keep us busy for 2**63 of them."""
    if size > len(data) - at:
        raise ParquetInvalid(f"The metadata claims {size} elements at byte {at}; the file is damaged.")


def skip(data: bytes, at: int, kind: int, depth: int) -> int:
    """Return the position after a value of a field."""
    if I16 <= kind <= I64:
        return _skip_varint(data, at)
    if kind == BINARY:
        size, at = read_varint(data, at)
        return at + size
    if kind == STRUCT:
        return _skip_struct(data, at, depth + 1)
    if kind in {LIST, SET}:
        inner, size, at = list_head(data, at)
        return _skip_elements(data, at, inner, size, depth + 1)
    if kind == MAP:
        return _skip_map(data, at, depth + 1)
    width = _WIDTHS.get(kind)
    if width is None:
        raise ParquetInvalid(
            f"The metadata has a value of an unknown kind, {kind}, at byte {at}; the file is damaged."
        )
    return at + width


def _skip_varint(data: bytes, at: int) -> int:
    while data[at] & MORE:
        at += 1
    return at + 1


def _skip_struct(data: bytes, at: int, depth: int) -> int:
    """Pass a struct; the commonest kinds of fields are passed right here, without a call for each."""
    check_depth(depth)
    while head := data[at]:
        at = at + 1 if head >> 4 else _skip_varint(data, at + 1)
        kind = head & 0x0F
        if I16 <= kind <= I64:
            while data[at] & MORE:
                at += 1
            at += 1
        elif kind == BINARY and data[at] < MORE:
            at += data[at] + 1
        elif kind > FALSE:
            at = skip(data, at, kind, depth)
    return at + 1


def _skip_elements(data: bytes, at: int, kind: int, size: int, depth: int) -> int:
    check_depth(depth)
    if I16 <= kind <= I64:
        for _ in range(size):
            while data[at] & MORE:
                at += 1
            at += 1
        return at
    if kind == STRUCT:
        for _ in range(size):
            at = _skip_struct(data, at, depth)
        return at
    width = 1 if kind in {TRUE, FALSE} else _WIDTHS.get(kind)
    if width is not None:
        return at + width * size
    for _ in range(size):
        at = skip(data, at, kind, depth)
    return at


def _skip_map(data: bytes, at: int, depth: int) -> int:
    key_kind, value_kind, size, at = map_head(data, at)
    for _ in range(size):
        at = _skip_elements(data, at, key_kind, 1, depth)
        at = _skip_elements(data, at, value_kind, 1, depth)
    return at
