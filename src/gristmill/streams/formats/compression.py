"""gzip and zstd: told by their first bytes, read as streams, written in members that may be joined."""

from __future__ import annotations

import gzip
import zlib
from enum import StrEnum
from typing import Any, BinaryIO, Protocol

from gristmill.errors import ConfigurationError, SourceError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_LEVEL = 6
_STEP = 1 << 18
"""Bytes that are decompressed at once."""


class Compression(StrEnum):
    """How a file is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


def told_by(head: bytes) -> Compression:
    """Return how a file that begins with *head* is compressed."""
    if head.startswith(_GZIP):
        return Compression.GZIP
    return Compression.ZSTD if head.startswith(_ZSTD) else Compression.NONE


def compress(data: bytes, compression: Compression) -> bytes:
    """Return *data* as one member; nothing for nothing."""
    if compression is Compression.NONE or not data:
        return data
    if compression is Compression.GZIP:
        return gzip.compress(data, _LEVEL, mtime=0)
    compressed: bytes = _arrow().compress(data, codec="zstd", asbytes=True)
    return compressed


def _arrow() -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("zstd needs pyarrow: install gristmill[streams]") from error
    return pa


class Stream(Protocol):
    """A stream of bytes that is read forwards."""

    def read(self, size: int, /) -> bytes:
        """Return *size* bytes, or less; nothing only at the end."""


class Decompressor:
    """Reads a compressed file as the stream it holds, forwards only, in memory that is bounded.

    Args:
        file: The compressed bytes.
        compression: How.
        name: For errors.

    Attributes:
        position: Bytes of the uncompressed stream that were given out.
    """

    def __init__(self, file: BinaryIO, compression: Compression, name: str) -> None:
        self._name = name
        self._stream: Stream = file
        if compression is Compression.GZIP:
            self._stream = _Gzip(file)
        elif compression is Compression.ZSTD:
            self._stream = _Zstd(file)
        self._error: Exception | None = None
        self.position = 0

    @property
    def failure(self) -> SourceError | None:
        """Why there is nothing after what was read; None if nothing is wrong with it."""
        if self._error is None:
            return None
        failure = SourceError(
            f"{self._name}: its compressed data is damaged or cut off after {self.position:,} bytes of "
            f"text ({self._error}); get the whole file and run again with --overwrite"
        )
        failure.__cause__ = self._error
        return failure

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer at the end, or before what is damaged.

        Raises:
            SourceError: The next byte cannot be had: the file is damaged, or ends in the middle.
        """
        found = bytearray()
        while len(found) < size and self._error is None:
            try:
                more = self._stream.read(min(size - len(found), _STEP))
            except (OSError, EOFError, zlib.error) as error:
                self._error = error
                break
            if not more:
                break
            found += more
        self.position += len(found)
        if (failure := self.failure) is not None and not found:
            raise failure
        return bytes(found)


class _Zstd:
    """Frames of zstd, one after the other, read in steps of one size, so that damage shows at one place."""

    _STEP = 1 << 15

    def __init__(self, file: BinaryIO) -> None:
        self._stream = _arrow().CompressedInputStream(file, "zstd")
        self._held = b""

    def read(self, size: int, /) -> bytes:
        if not self._held:
            self._held = self._stream.read(self._STEP)
        found, self._held = self._held[:size], self._held[size:]
        return found


class _Gzip:
    """Members of gzip, one after the other, zeros between them as some writers pad."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._input = b""
        self._member: Any = None

    def read(self, size: int, /) -> bytes:
        while True:
            if not self._input:
                self._input = self._file.read(_STEP)
                if not self._input and self._member is None:
                    return b""
            if self._member is None:
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    continue
                self._member = zlib.decompressobj(31)
            is_over = not self._input
            found: bytes = self._member.decompress(self._input, size)
            self._input = self._member.unconsumed_tail
            if self._member.eof:
                self._input = self._member.unused_data
                self._member = None
            elif is_over and not found:
                raise EOFError("the last member has no end")
            if found:
                return found
