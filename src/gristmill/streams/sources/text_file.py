"""Text files as sources: found, looked at, and cut into chunks where records end."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.checkpoint import Checkpoint, SourceMark, gaps
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.compression import Compression, Decompressor, told_by
from gristmill.streams.sources.protocol import ReaderRecipe

_SAMPLE = 64 * 1024
"""Bytes at both ends of a file that tell it from another."""
STANDARD = "-"
"""Names standard input."""
_TAIL = 64 * 1024
"""Bytes at the end of a chunk that mostly tell where a record ends, so that the rest need not be read."""
_UNKNOWN = 1 << 62
"""The end of what nobody knows the end of."""


class TextForm(Protocol):
    """How a text is cut into records."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""

    @property
    def advice(self) -> str:
        """What may be wrong where a record has no end."""

    def head(self, window: bytes, name: str, *, is_last: bool) -> Head | None:
        """Return what the beginning of an input says; None if *window* is too short to tell.

        Raises:
            SourceError: It cannot be read as this form.
        """

    def cut(self, window: bytes, *, is_last: bool) -> int | None:
        """Return the length of the longest prefix of whole records; None if there is none."""

    def cut_tail(self, tail: bytes) -> int | None:
        """Return the length of the longest beginning of *tail* that ends where a record ends.

        Args:
            tail: The end of what ``cut`` would be given; what is before it nobody has read.

        Returns:
            None if that does not tell where one ends.
        """

    def names(self, columns: Sequence[str]) -> Sequence[str]:
        """Return the columns that rows get where the header has these *columns*.

        Raises:
            ConfigurationError: A column that is selected is none of them.
        """

    def recipe(self, heads: Sequence[Head], files: Sequence[Readable]) -> ReaderRecipe:
        """Return what reads chunks in workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What stands before the first row.

    Attributes:
        length: Its bytes.
        columns: The names of the columns; None if rows have none in common.
    """

    length: int
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A file that workers read for themselves, as it was when the run began.

    Attributes:
        path: Absolute.
        size: Bytes.
        changed_ns: Time of its last change.
    """

    path: str
    size: int
    changed_ns: int

    def check(self, descriptor: int) -> None:
        """Check that the open file is the one that was looked at.

        Raises:
            SourceChanged: It is another file, or was written to.
        """
        found = os.fstat(descriptor)
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed_ns):
            raise SourceChanged(
                f"{self.path} was changed while it was read; make it whole and run again with --overwrite"
            )

    def read(self, start: int, end: int) -> bytes:
        """Return its bytes [start, end).

        Raises:
            SourceChanged: It is another file, or was written to.
            SourceError: It cannot be read.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - the hot path
                self.check(file.fileno())
                data = os.pread(file.fileno(), end - start, start)
                while len(data) < end - start:  # a read is cut at 2 GiB, or by a signal
                    more = os.pread(file.fileno(), end - start - len(data), start + len(data))
                    if not more:
                        raise SourceChanged(f"{self.path} ended at {start + len(data):,}, before {end:,}")
                    data += more
                return data
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from error


class _Text(Protocol):
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

    def close(self) -> None: ...


class _Plain:
    """A file as it lies."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size: int | None = size
        self.weight = 0
        self.failure: SourceError | None = None

    def window(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        found = self._file.read(size)
        self.weight = start + len(found)
        return found

    def close(self) -> None:
        self._file.close()


class _Streamed:
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
        try:
            return self._file.tell()
        except OSError:  # a pipe
            return self._stream.position

    @property
    def failure(self) -> SourceError | None:
        return self._stream.failure

    def window(self, start: int, size: int) -> bytes:
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
        self._file.close()


class TextFiles:
    """Files of one text form, one after another.

    Plain files are read by the workers, which are told where; compressed ones
    and pipes are read here, once, and travel with the chunks.

    Args:
        paths: The files; ``-`` is *standard_input*.
        form: How they are cut.
        max_record: Bytes of one record at most.
        standard_input: What ``-`` is.
        is_replay: Whether they are dead letters, which tell the places of their rows in other inputs.
    """

    def __init__(
        self,
        paths: Sequence[str],
        form: TextForm,
        *,
        max_record: int = 16 << 20,
        standard_input: BufferedReader[Any] | None = None,
        is_replay: bool = False,
    ) -> None:
        self.is_replay = is_replay
        self.names: Sequence[str] = ["standard input" if path == STANDARD else path for path in paths]
        self.total: int | None = None
        self._paths = paths
        self._form = form
        self._max_record = max_record
        self._standard_input = standard_input
        self._heads: list[Head] = []
        self._readable: list[Readable] = []
        self._kinds: list[Compression] = []
        self._pipe: _Streamed | None = None

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns that rows get, as the first file that has some says them."""
        first = next((head.columns for head in self._heads if head.columns), None)
        return None if first is None else self._form.names(first)

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""
        return self._form.options

    def weight(self, checkpoint: Checkpoint) -> int:
        """Return the bytes that are done; of a compressed file under way none are counted."""
        found = sum(each.size for each in self._readable[: checkpoint.source])
        if checkpoint.source < len(self._kinds) and self._kinds[checkpoint.source] is Compression.NONE:
            found += sum(each.end - each.start for each in checkpoint.done)
        return found

    def open(self) -> Sequence[SourceMark]:
        """Look at every file: its size, its ends, its header."""
        marks: list[SourceMark] = []
        self._readable, self._kinds, self._heads = [], [], []
        for index, path in enumerate(self._paths):
            mark, readable, kind = self._look_at(path)
            marks.append(mark)
            self._readable.append(readable)
            self._kinds.append(kind)
            self._heads.append(self._head(index))
        if STANDARD not in self._paths:
            self.total = sum(each.size for each in self._readable)
        return marks

    def _look_at(self, path: str) -> tuple[SourceMark, Readable, Compression]:
        if path == STANDARD:
            if self._standard_input is None:
                raise SourceError("there is no standard input to read")
            if len(self._paths) > 1:
                raise SourceError("standard input (-) cannot be one of several inputs; give it alone")
            return (
                SourceMark(name="standard input"),
                Readable(path=STANDARD, size=0, changed_ns=0),
                Compression.NONE,
            )
        try:
            kind = Path(path).stat().st_mode
            if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # before it is opened: a pipe would wait
                raise SourceError(f"{path} is no regular file; pipe it into standard input, and give -")
            with open(path, "rb") as file:  # noqa: PTH123 - as everywhere here
                found = os.fstat(file.fileno())
                head = file.read(_SAMPLE)
                file.seek(max(0, found.st_size - _SAMPLE))
                digest = hashlib.blake2b(head + file.read(_SAMPLE), digest_size=16).hexdigest()
        except IsADirectoryError as error:
            raise SourceError(f"{path} is a folder; give files, or a pattern as '{path}/*.csv'") from error
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        mark = SourceMark(name=path, size=found.st_size, changed_ns=found.st_mtime_ns, digest=digest)
        readable = Readable(path=str(Path(path).resolve()), size=found.st_size, changed_ns=found.st_mtime_ns)
        return mark, readable, told_by(head)

    def _text(self, index: int) -> _Text:
        path, name = self._paths[index], self.names[index]
        if path == STANDARD:
            if self._pipe is None:
                assert self._standard_input is not None  # noqa: S101 - seen to by _look_at
                head = self._standard_input.peek(4)[:4]
                self._pipe = _Streamed(self._standard_input, told_by(head), name)
            return self._pipe
        try:
            file = open(path, "rb")  # noqa: PTH123, SIM115 - the text closes it
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        if self._kinds[index] is Compression.NONE:
            return _Plain(file, self._readable[index].size)
        return _Streamed(file, self._kinds[index], name, self._readable[index])

    def _head(self, index: int) -> Head:
        text = self._text(index)
        size = _SAMPLE
        try:
            while True:
                window = text.window(0, size)
                is_last = len(window) < size and text.failure is None
                found = self._form.head(window, self.names[index], is_last=is_last)
                if found is not None:
                    return found
                if text.failure is not None:
                    raise text.failure
                if is_last or size > self._max_record:
                    raise SourceError(
                        f"{self.names[index]}: its header is longer than {self._max_record:,} bytes"
                    )
                size *= 4
        finally:
            if self._paths[index] != STANDARD:
                text.close()

    def recipe(self) -> ReaderRecipe:
        """Return what reads the chunks in workers."""
        return self._form.recipe(self._heads, self._readable)

    def plan(self, checkpoint: Checkpoint, size: Callable[[], int]) -> Iterator[Chunk]:
        """Yield the chunks that are left."""
        number = checkpoint.next
        for index in range(checkpoint.source, len(self._paths)):
            for chunk in self._plan_one(index, checkpoint, size):
                yield Chunk(
                    number=number,
                    source=index,
                    start=chunk.start,
                    end=chunk.end,
                    is_last=chunk.is_last,
                    weight=chunk.weight,
                    body=chunk.body,
                )
                number += 1

    def _plan_one(self, index: int, checkpoint: Checkpoint, size: Callable[[], int]) -> Iterator[Chunk]:
        text = self._text(index)
        try:
            done = [each for each in checkpoint.done if each.source == index]
            end = _UNKNOWN if text.size is None else text.size
            for each in done:
                if each.is_last:
                    end = each.start
            if not end and not done:
                yield Chunk(number=0, source=index, start=0, end=0, is_last=True)
            for start, stop in gaps(done, index, 0, end):
                yield from self._plan_gap(index, text, start, stop, size)
        finally:
            text.close()

    def _plan_gap(
        self, index: int, text: _Text, start: int, stop: int, size: Callable[[], int]
    ) -> Iterator[Chunk]:
        is_last = False
        while start < stop and not is_last:
            before = text.weight
            window, length, is_last = self._records(index, text, start, stop, size())
            end = start + length
            is_plain = text.size is not None
            yield Chunk(
                number=0,
                source=index,
                start=start,
                end=end,
                is_last=is_last,
                weight=length if is_plain else max(0, text.weight - before),
                body=None if is_plain else window[:length],
            )
            start = end

    def _records(
        self, index: int, text: _Text, start: int, stop: int, wanted: int
    ) -> tuple[bytes, int, bool]:
        """Return text from *start* on, the length of whole records in it, and whether nothing follows.

        The text of a file as it lies is for its reader to read, and may be missing here.
        """
        wanted = min(wanted, stop - start)
        if text.size is not None and 2 * _TAIL <= wanted < stop - start:
            tail = text.window(start + wanted - _TAIL, _TAIL)
            length = self._form.cut_tail(tail) if len(tail) == _TAIL else None
            if length:
                return b"", wanted - _TAIL + length, False
        while True:
            window = text.window(start, wanted)
            end = start + len(window)
            if len(window) < wanted and text.size is not None:
                raise SourceChanged(
                    f"{self.names[index]} ended at {end:,}, before {text.size:,}: somebody has cut it"
                )
            if (len(window) < wanted and text.failure is None) or end == text.size:
                return window, len(window), True
            if end == stop:
                return window, len(window), False
            length = self._form.cut(window, is_last=False)
            if length:
                return window, length, False
            if text.failure is not None:
                raise text.failure
            if wanted > self._max_record:
                raise SourceError(
                    f"{self.names[index]}: the record that begins at byte {start:,} has no end within "
                    f"{self._max_record:,} bytes: {self._form.advice}"
                )
            wanted = min(2 * wanted, stop - start)

    def shortened(self, chunk: Chunk) -> Chunk | None:
        """Return the beginning of *chunk* that ends where all of it tells that a record ends.

        Chunks are cut by their ends alone where these tell, which holds if there is no error before. If there
        is one, the records before it can be had.

        Returns:
            None if that is the chunk, or nothing.
        """
        if chunk.body is not None or chunk.is_last:
            return None
        text = self._text(chunk.source)
        try:
            length = self._form.cut(text.window(chunk.start, chunk.size), is_last=False)
        finally:
            text.close()
        if length is None or length >= chunk.size:
            return None
        return replace(chunk, end=chunk.start + length, weight=length)

    def close(self) -> None:
        """Let go of standard input; files are closed as they end."""
        if self._pipe is not None:
            self._pipe.close()
