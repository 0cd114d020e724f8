"""Small bodies that unpack to huge ones."""

from __future__ import annotations

import zlib

_PIECE = 1 << 20


def gzip_bomb(size: int, fill: bytes = b"\0") -> bytes:
    """Return a gzip file of *size* bytes, whole megabytes, that are all *fill*.

    One piece is packed, and repeated: after a full flush the next one would be packed to the same bytes.
    """
    piece = fill * _PIECE
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    pieces, check = size // _PIECE, 0
    for _ in range(pieces):
        check = zlib.crc32(piece, check)
    end = check.to_bytes(4, "little") + size.to_bytes(4, "little")
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + packed * pieces + packer.flush() + end
