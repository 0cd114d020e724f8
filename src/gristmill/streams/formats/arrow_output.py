"""Arrow IPC as a file that chunks are appended to: record batches, and at the end a footer that lists them.

A stream (``.arrows``) is a schema, record batches and an end mark. A file
(``.arrow``, ``.feather``) is the same between a magic and a footer, which is
the schema again with the place of each batch. The footer of an empty file has
all of that but the places, so these alone are put into it.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format and
the FlatBuffers schemas ``File.fbs`` and ``Message.fbs`` of Apache Arrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import pyarrow as pa

from gristmill.errors import SinkError
from gristmill.streams.formats.arrow_layout import schema_of
from gristmill.streams.formats.table_encoding import TableColumnEncoder, TableRowEncoder
from gristmill.streams.sinks.appending import Bytes
from gristmill.streams.sinks.protocol import ColumnEncoder, Encoded, EncoderRecipe, RowEncoder

_MAGIC = b"ARROW1"
_START = _MAGIC + b"\0\0"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_PREFIX = struct.Struct("<Ii")  # a continuation mark, bytes of the metadata
_BLOCK = struct.Struct("<qi4xq")  # offset, bytes of prefix and metadata, bytes of the body
_RECORD_BATCHES = 3  # field of Footer
_BODY_LENGTH = 3  # field of Message
_ALIGNED = 8


def write_arrow(batch: Any) -> Encoded:
    """Return *batch* as an IPC message."""
    return memoryview(batch.serialize())


@dataclass(frozen=True, slots=True)
class ArrowRecipe:
    """Makes encoders of Arrow.

    Attributes:
        given: As of ``TableRowEncoder``.
    """

    given: bytes | None = None

    @property
    def needs_layout(self) -> bool:
        """Always: a file has one schema."""
        return True

    def rows(self, result_type: Any) -> RowEncoder:
        """Return an encoder of rows."""
        return TableRowEncoder(write_arrow, result_type, self.given)

    def knowing(self, layout: bytes) -> ArrowRecipe:
        """Return the same for an input that has columns with types."""
        return replace(self, given=layout)

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""
        return TableColumnEncoder(write_arrow)


@dataclass(frozen=True, slots=True)
class ArrowOutput:
    """Arrow IPC; see ``Appending``.

    Attributes:
        is_stream: Whether it is a stream; else a file.
    """

    is_stream: bool

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output."""
        return {"output format": "arrow stream" if self.is_stream else "arrow"}

    @property
    def is_streamed(self) -> bool:
        """Whether it can go to a pipe."""
        return self.is_stream

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""
        return ArrowRecipe()

    def head(self, layout: bytes | None) -> bytes:
        """Return the schema, after the magic of a file."""
        schema: bytes = schema_of(layout).serialize().to_pybytes()
        return schema if self.is_stream else _START + schema

    def frame(self, body: Bytes) -> Iterable[Bytes]:
        """Yield the message."""
        yield body

    def tail(self, file: BinaryIO, length: int) -> Iterable[bytes]:
        """Yield the end mark, and a file's footer."""
        if self.is_stream:
            return (_END_OF_STREAM,)
        (_, size, _), *blocks = _blocks(file, length)
        file.seek(len(_START))
        schema = pa.ipc.read_schema(pa.BufferReader(file.read(size)))
        file.seek(length)
        footer = _footer(schema, blocks)
        return (_END_OF_STREAM, footer, struct.pack("<i", len(footer)), _MAGIC)


def _blocks(file: BinaryIO, length: int) -> Iterator[tuple[int, int, int]]:
    """Yield where each message is: its offset, the bytes before its body, and those of the body."""
    at = len(_START)
    while at < length:
        file.seek(at)
        _, size = _PREFIX.unpack(file.read(_PREFIX.size))
        metadata = file.read(size)
        if len(metadata) < size:
            raise SinkError(
                f"the message at byte {at:,} of the output is cut off; begin anew with --overwrite"
            )
        place = _field(metadata, _BODY_LENGTH)
        body = 0 if place is None else int(struct.unpack_from("<q", metadata, place)[0])
        yield at, _PREFIX.size + size, body
        at += _PREFIX.size + size + body


def _field(table: bytes | bytearray, number: int) -> int | None:
    """Return where a field of the root table of a FlatBuffer lies; None if it has its default."""
    (root,) = struct.unpack_from("<I", table, 0)
    vtable = root - struct.unpack_from("<i", table, root)[0]
    (size,) = struct.unpack_from("<H", table, vtable)
    slot = 4 + 2 * number
    if slot >= size:
        return None
    (offset,) = struct.unpack_from("<H", table, vtable + slot)
    return root + offset if offset else None


def _footer(schema: Any, blocks: list[tuple[int, int, int]]) -> bytes:
    """Return the footer of an empty file, with *blocks* in the place of none."""
    empty = pa.BufferOutputStream()
    with pa.ipc.new_file(empty, schema):
        pass
    file = empty.getvalue().to_pybytes()
    after = len(file) - len(_MAGIC)
    (size,) = struct.unpack_from("<i", file, after - 4)
    footer = bytearray(file[after - 4 - size : after - 4])
    if not blocks:
        return bytes(footer)
    place = _field(footer, _RECORD_BATCHES)
    if place is None:
        raise SinkError("this version of pyarrow writes footers that cannot be grown; write .arrows instead")
    while (len(footer) + 4) % _ALIGNED:  # the elements of the vector are aligned, after its length
        footer.append(0)
    struct.pack_into("<I", footer, place, len(footer) - place)
    footer += struct.pack("<I", len(blocks))
    for block in blocks:
        footer += _BLOCK.pack(*block)
    return bytes(footer)
