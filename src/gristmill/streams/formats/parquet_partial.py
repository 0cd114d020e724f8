"""A Parquet file that grows piece by piece, can be cut back to any commit, and ends as one file.

On disk, while it grows::

    piece ‖ trailer ‖ piece ‖ trailer ‖ …
    piece    a whole Parquet file, as a worker encoded it (``PAR1`` … footer ``PAR1``)
    trailer  16 bytes, little-endian: size of the piece (8), CRC-32 of its footer (4), ``GMp1``

and at the end the offset indexes and the one footer of the joint file, which
begins with ``PAR1`` because its first piece does. Nothing is written twice:
a commit is a length, a resume is a truncation to it, and
:func:`joint_footer` is written after the last one.

Cost, against one ``ParquetWriter`` with the same row groups: COST_PLACEHOLDER
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.parquet_footer import MAGIC, TAIL, footer_size, piece_footer_size, read_footer
from gristmill.streams.formats.parquet_join import FooterJoin, index_ranges

_TRAILER = struct.Struct("<QI4s")
_TRAILER_MAGIC = b"GMp1"
_SMALLEST = len(MAGIC) + TAIL


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one piece lies.

    Attributes:
        start: Its first byte in the file.
        size: Bytes of it, without the trailer.
        footer_size: Bytes of its footer, the last of it.
        crc: CRC-32 that its footer must have.
    """

    start: int
    size: int
    footer_size: int
    crc: int


def append_piece(file: BinaryIO, piece: bytes) -> int:
    """Write a piece and its trailer where *file* stands, which is where the last one ended, or at 0.

    Nothing is flushed or synced, and columns are not compared: the caller
    commits, and :func:`~gristmill.streams.formats.parquet_schema.require_same_schema`
    tells early what :func:`joint_footer` would refuse late.

    Args:
        file: Open for writing, binary and buffered.
        piece: A whole Parquet file; its row groups become those of the joint file. Zero rows are fine.

    Returns:
        How many bytes were written: the file has grown by as many.

    Raises:
        ParquetInvalid: It is no whole Parquet file, or an encrypted one; nothing was written.
    """
    after = trailer(piece)
    file.write(piece)
    file.write(after)
    return len(piece) + len(after)


def trailer(piece: bytes | bytearray | memoryview) -> bytes:
    """Return what stands after a piece; raises as :func:`append_piece`."""
    size = piece_footer_size(piece)
    return _TRAILER.pack(len(piece), zlib.crc32(memoryview(piece)[-size:]), _TRAILER_MAGIC)


def scan_pieces(file: BinaryIO, length: int) -> list[Piece]:
    """Find the pieces in the first *length* bytes of a file, from the last one back: two small reads each.

    Args:
        file: Open for reading, binary, seekable; what it has after *length* is not looked at.
        length: What was committed: the end of a trailer, or 0.

    Returns:
        All pieces, in the order they were appended.

    Raises:
        ParquetInvalid: The file is shorter than *length*, or is damaged, or *length* is not the end of a
            piece; the message names the byte.
    """
    pieces: list[Piece] = []
    end = length
    while end:
        last = _read(file, end - TAIL - _TRAILER.size, TAIL + _TRAILER.size)
        size, crc, magic = _TRAILER.unpack(last[TAIL:])
        start = end - _TRAILER.size - size
        if magic != _TRAILER_MAGIC or size < _SMALLEST or start < 0:
            raise ParquetInvalid(
                f"No piece ends at byte {end}: the file is damaged, or its committed length is another."
            )
        footer = footer_size(last[:TAIL])
        if footer + len(MAGIC) > size or _read(file, start, len(MAGIC)) != MAGIC:
            raise ParquetInvalid(
                f"The piece at bytes {start} to {end} does not begin as one; the file is damaged."
            )
        pieces.append(Piece(start, size, footer, crc))
        end = start
    pieces.reverse()
    return pieces


def joint_footer(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Yield what to write at byte *length* to make the file a Parquet file of all its pieces.

    The parts may be written to the same file while they are made, through
    another file object or this one: every read seeks first, so a writer
    that shares it has to seek as well. After a crash in between, cut the
    file back to *length* and begin again.

    Args:
        file: Open for reading, binary, seekable.
        length: As of :func:`scan_pieces`.

    Raises:
        ParquetInvalid: As of :func:`scan_pieces`; also metadata that is damaged, encrypted or too large.
        SchemaMismatch: A piece has other columns than the first.
        StreamError: There is no piece. For an output without rows, append one of an empty table.
    """
    join = FooterJoin(length)
    for piece in scan_pieces(file, length):
        pages = piece.size - piece.footer_size
        tail = _read(file, piece.start + pages, piece.footer_size)
        if zlib.crc32(tail) != piece.crc:
            raise ParquetInvalid(
                f"The footer at byte {piece.start + pages} is not as written; the file is damaged."
            )
        footer = read_footer(tail[:-TAIL])
        indexes = []
        for start, size in index_ranges(footer):
            if start + size > pages:
                raise ParquetInvalid(
                    f"The piece at byte {piece.start} points behind its end; the file is damaged."
                )
            indexes.append(_read(file, piece.start + start, size))
        yield join.add(footer, piece.start, pages, indexes)
    yield from join.finish()


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    if start < 0:
        raise ParquetInvalid(f"No piece ends at byte {start + size}: that is too early in the file for one.")
    file.seek(start)
    data = file.read(size)
    if len(data) < size:
        raise ParquetInvalid(
            f"The file ends at byte {start + len(data)}, before the committed length. It was cut off: "
            "start the run anew, without its checkpoint."
        )
    return data
