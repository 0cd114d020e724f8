"""The text of one input, window by window: as it lies in a file, or as it comes out of a stream."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.formats.compression import Compression, Decompressor
from gristmill.streams.sources.readable import Readable


class Text(Protocol):
    """The text of one input."""

    @property
    def size(self) -> int | None:
        """Bytes; None where nobody knows before the end."""

    @property
    def weight(self) -> int:
        """Bytes read of the file as it lies."""

    @property
    def failure(self) -> SourceError | None:
        """Why nothing can be read after the last window; None if nothing is wrong with it."""

    def window(self, start: int, size: int) -> bytes:
        """Return up to *size* bytes from *start*, less only at the end; *start* never goes back."""

    def close(self) -> None:
        """Let go of it."""


class PlainText:
    """A file as it lies."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size: int | None = size
        self.weight = 0
        self.failure: SourceError | None = None

    def window(self, start: int, size: int) -> bytes:
        """Return bytes of the text; see ``Text``."""
        self._file.seek(start)
        found = self._file.read(size)
        self.weight = start + len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class StreamedText:
    """A stream that is read once: compressed, or a pipe. Holds what was read and not cut off yet."""

    def __init__(
        self, file: BinaryIO, compression: Compression, name: str, readable: Readable | None = None
    ) -> None:
        self._file = file
        self._readable = readable
        self._stream = Decompressor(file, compression, name)
        self._held = b""
        self._start = 0
        self.size: int | None = None

    @property
    def weight(self) -> int:
        """Bytes read of the file as it lies."""
        try:
            return self._file.tell()
        except OSError:  # a pipe
            return self._stream.position

    @property
    def failure(self) -> SourceError | None:
        """Why nothing can be read after the last window; None if nothing is wrong with it."""
        return self._stream.failure

    def window(self, start: int, size: int) -> bytes:
        """Return bytes of the text; see ``Text``."""
        if self._readable is not None:
            self._readable.check(self._file.fileno())
        while start > self._start + len(self._held):  # after a resume: decompress and drop
            self._start += len(self._held)
            self._held = self._stream.read(min(start - self._start, 1 << 22))
            if not self._held:
                raise self.failure or SourceChanged(
                    f"the input ended after {self._start:,} bytes of text, and had {start:,} of them before"
                )
        self._held = self._held[start - self._start :]
        self._start = start
        if len(self._held) < size:
            self._held += self._stream.read(size - len(self._held))
        return self._held[:size]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
