"""Text files as sources: found, looked at, and cut into chunks where records end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader
from typing import Any, Protocol

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.checkpoint import Checkpoint, SourceMark, gaps
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.compression import Compression, told_by
from gristmill.streams.sources.opened_text import PlainText, StreamedText, Text
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.readable import Readable, look_at

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
        self._pipe: StreamedText | None = None

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
        mark, readable, head = look_at(path, suffix=".csv", is_piped=True)
        return mark, readable, told_by(head)

    def _text(self, index: int) -> Text:
        path, name = self._paths[index], self.names[index]
        if path == STANDARD:
            if self._pipe is None:
                assert self._standard_input is not None  # noqa: S101 - seen to by _look_at
                head = self._standard_input.peek(4)[:4]
                self._pipe = StreamedText(self._standard_input, told_by(head), name)
            return self._pipe
        try:
            file = open(path, "rb")  # noqa: PTH123, SIM115 - the text closes it
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        if self._kinds[index] is Compression.NONE:
            return PlainText(file, self._readable[index].size)
        return StreamedText(file, self._kinds[index], name, self._readable[index])

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
        self, index: int, text: Text, start: int, stop: int, size: Callable[[], int]
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

    def _records(self, index: int, text: Text, start: int, stop: int, wanted: int) -> tuple[bytes, int, bool]:
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
