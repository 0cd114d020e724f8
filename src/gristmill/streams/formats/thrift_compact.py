"""The compact protocol of Apache Thrift, generically: bytes ↔ a tree of field ids, without a schema.

Footers and indexes of Parquet are structs in this encoding. What is not
understood is kept: a tree holds every field, and those outside the *shape*
that was asked for stay the bytes they were.

Method: the encoding as the Thrift project specifies it in its
``thrift-compact-protocol.md``. Writers that follow it have one way to write
a tree, so ``encode(decode(data)) == data`` for what they wrote.
"""

from __future__ import annotations

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.thrift_skip import (
    MORE,
    SHORT,
    check_depth,
    list_head,
    map_head,
    read_varint,
    skip,
)
from gristmill.streams.formats.thrift_tree import (
    BINARY,
    FALSE,
    I16,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    Items,
    Pairs,
    Raw,
    Shape,
    Struct,
    Value,
)

STOP = b"\0"


def decode(data: bytes, shape: Shape | None = None) -> Struct:
    """Read one struct that fills *data*.

    Args:
        data: The encoded struct, nothing before and nothing after it.
        shape: The fields to open; None opens all.

    Raises:
        ParquetInvalid: It is cut off, has bytes left over, nests too deep, or is no such encoding.
    """
    struct, end = decode_first(data, shape)
    if end != len(data):
        raise ParquetInvalid(
            f"The metadata should end after {end} bytes and has {len(data)}; the file is damaged."
        )
    return struct


def decode_first(data: bytes, shape: Shape | None = None) -> tuple[Struct, int]:
    """Read the struct that *data* begins with, and how many bytes it is; otherwise as :func:`decode`."""
    try:
        struct, end = _read_struct(data, 0, shape, 0)
    except IndexError:
        end = len(data) + 1
    if end > len(data):
        raise ParquetInvalid("The metadata ends in the middle of a value; the file is damaged.")
    return struct, end


def encode(struct: Struct, after: int = 0) -> bytes:
    """Write a struct; *after* is the id of the field written before, of a struct written in two parts."""
    out = bytearray()
    _write_struct(out, struct, after)
    return bytes(out)


def list_header(kind: int, size: int) -> bytes:
    """Return what stands before *size* elements of *kind*, for a list that is encoded elsewhere."""
    if size < SHORT:
        return bytes((size << 4 | kind,))
    return bytes((SHORT << 4 | kind,)) + _varint(size)


def _read_struct(data: bytes, at: int, shape: Shape | None, depth: int) -> tuple[Struct, int]:
    check_depth(depth)
    fields: dict[int, tuple[int, Value]] = {}
    field = 0
    while head := data[at]:
        at += 1
        kind = head & 0x0F
        if head >> 4:
            field += head >> 4
        else:
            number, at = read_varint(data, at)
            field = (number >> 1) ^ -(number & 1)
        if field in fields:
            raise ParquetInvalid(f"The metadata has field {field} twice in one struct; the file is damaged.")
        if shape is None:
            value, at = _read(data, at, kind, None, depth)
        elif field in shape:
            value, at = _read(data, at, kind, shape[field], depth)
        elif kind <= FALSE:
            value = None
        else:
            end = skip(data, at, kind, depth)
            value, at = Raw(data[at:end]), end
        fields[field] = (kind, value)
    return Struct(fields), at + 1


def _read(  # noqa: PLR0911 - one for each kind
    data: bytes, at: int, kind: int, shape: Shape | None, depth: int
) -> tuple[Value, int]:
    if I16 <= kind <= I64:
        number, at = read_varint(data, at)
        return (number >> 1) ^ -(number & 1), at
    if kind == BINARY:
        size, at = read_varint(data, at)
        return data[at : at + size], at + size
    if kind == STRUCT:
        return _read_struct(data, at, shape, depth + 1)
    if kind in {LIST, SET}:
        return _read_list(data, at, shape, depth + 1)
    if kind in {TRUE, FALSE}:
        return None, at
    if kind == MAP:
        return _read_map(data, at, shape, depth + 1)
    end = skip(data, at, kind, depth)
    return data[at:end], end


def _read_list(data: bytes, at: int, shape: Shape | None, depth: int) -> tuple[Items, int]:
    check_depth(depth)
    kind, size, at = list_head(data, at)
    items: list[Value] = []
    for _ in range(size):
        value, at = _read_element(data, at, kind, shape, depth)
        items.append(value)
    return Items(kind, items), at


def _read_map(data: bytes, at: int, shape: Shape | None, depth: int) -> tuple[Pairs, int]:
    check_depth(depth)
    key_kind, value_kind, size, at = map_head(data, at)
    pairs: list[tuple[Value, Value]] = []
    for _ in range(size):
        key, at = _read_element(data, at, key_kind, shape, depth)
        value, at = _read_element(data, at, value_kind, shape, depth)
        pairs.append((key, value))
    return Pairs(key_kind, value_kind, pairs), at


def _read_element(data: bytes, at: int, kind: int, shape: Shape | None, depth: int) -> tuple[Value, int]:
    if kind in {TRUE, FALSE}:
        return data[at], at + 1
    return _read(data, at, kind, shape, depth)


def _varint(number: int) -> bytes:
    if number < MORE:
        return bytes((number,))
    out = bytearray()
    while number >= MORE:
        out.append(number & 0x7F | MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _write_struct(out: bytearray, struct: Struct, last: int) -> None:
    for field, (kind, value) in struct.fields.items():
        gap = field - last
        if 0 < gap <= SHORT:
            out.append(gap << 4 | kind)
        else:
            out.append(kind)
            out += _varint(_zigzag(field))
        last = field
        if isinstance(value, Raw):
            out += value.data
        elif kind > FALSE:
            _write(out, kind, value)
    out += STOP


def _write(out: bytearray, kind: int, value: Value) -> None:  # noqa: C901 - one branch for each kind
    if isinstance(value, Raw):
        out += value.data
    elif isinstance(value, int):
        out += bytes((value,)) if kind in {TRUE, FALSE} else _varint(_zigzag(value))
    elif isinstance(value, bytes):
        if kind == BINARY:
            out += _varint(len(value))
        out += value
    elif isinstance(value, Struct):
        _write_struct(out, value, 0)
    elif isinstance(value, Items):
        out += list_header(value.kind, len(value.items))
        for item in value.items:
            _write(out, value.kind, item)
    elif isinstance(value, Pairs):
        out += _varint(len(value.items))
        if value.items:
            out.append(value.key_kind << 4 | value.value_kind)
        for key, item in value.items:
            _write(out, value.key_kind, key)
            _write(out, value.value_kind, item)
