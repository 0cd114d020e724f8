"""Chunks as rows: read, run through the handler in batches, encode what came out, write down what did not."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batching.executors.function_ref import FunctionRef, resolve
from gristmill.batching.handler import BatchHandler
from gristmill.model.outcome import Failed
from gristmill.streams.chunk import Counts, Crash, Result, Task
from gristmill.streams.engines.protocol import Marker
from gristmill.streams.sinks.protocol import Encoded, EncoderRecipe, RowEncoder
from gristmill.streams.sources.protocol import ReaderRecipe, Rows
from gristmill.streams.worker.calls import Called, Caller
from gristmill.streams.worker.letters import Letters
from gristmill.streams.worker.probing import probe


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWork:
    """What a worker needs to run chunks as rows.

    Attributes:
        handler: Where the handler is.
        reader: Reads chunks.
        encoder: Encodes results.
        sources: The names of the inputs, for dead letters.
        batch_size: Rows of a handler call; ``"auto"``, or None for the handler's own.
    """

    handler: FunctionRef
    reader: ReaderRecipe
    encoder: EncoderRecipe
    sources: Sequence[str]
    batch_size: int | str | None = None

    def start(self) -> RowRunner:
        """Load the handler, and make the runner."""
        handler: Any = resolve(self.handler)
        return RowRunner(handler, self)


class RowRunner:
    """Runs chunks as rows, block by block."""

    def __init__(self, handler: BatchHandler[Any, Any], work: RowWork) -> None:
        self._reader = work.reader.rows(handler.item_type)
        self._encoder: RowEncoder = work.encoder.rows(handler.result_type)
        self._needs_layout = work.encoder.needs_layout
        self._sources = work.sources
        self._caller = Caller(handler, work.batch_size)

    def run(self, task: Task, marker: Marker) -> Result:
        """Run *task*; see ``Runner.run``."""
        blocks = self._reader.read(task.chunk, self._caller.batch)
        if task.only is not None:
            for rows in blocks:
                self._probe(task.only, *_without(rows, task.convicted), marker)
            return Result(number=task.chunk.number)
        letters = Letters(self._reader, self._sources[task.chunk.source])
        if task.refused:
            return _letters_only(task, blocks, letters)
        page = _Page(self._encoder, letters, task.layout, needs_layout=self._needs_layout)
        result = Result(number=task.chunk.number)
        left = task.limit
        items: list[Any] = []
        numbers: Sequence[int] = ()
        for block in blocks:
            rows = block if left is None or block.total <= left else block.first(left)
            letters.open(rows.start, rows.places)
            _note(task, rows, letters, result)
            more, following = _without(rows, task.convicted)
            items, numbers = (items + more, [*numbers, *following]) if items else (more, following)
            whole = len(items) - len(items) % self._caller.batch  # the rest waits, so that batches are full
            self._call(task, items[:whole], numbers[:whole], marker=marker, page=page, result=result)
            items, numbers = items[whole:], numbers[whole:]
            left = None if left is None else left - rows.total
            if left == 0:
                break
        self._call(task, items, numbers, marker=marker, page=page, result=result)
        return page.finish(result)

    def _call(
        self,
        task: Task,
        items: list[Any],
        numbers: Sequence[int],
        *,
        marker: Marker,
        page: _Page,
        result: Result,
    ) -> None:
        if not items:
            return
        called = self._caller.call(items, Numbered(marker, numbers), task.batch_size)
        for index, (failed, attempts) in called.failures.items():
            page.letters.failed(numbers[index], items[index], failed, attempts)
        page.add(items, numbers, called)
        result.batches += called.batches
        result.seconds += called.seconds
        result.batch_size = called.batch_size or result.batch_size
        result.batch_cap = self._caller.batch

    def _probe(self, only: tuple[int, int], items: list[Any], numbers: Sequence[int], marker: Marker) -> None:
        first, stop = (bisect_left(numbers, number) for number in only)
        probe(
            numbers[first:stop],
            lambda start, end: self._caller.probe(items[first + start : first + end]),
            marker,
        )

    def close(self) -> None:
        """End the event loop of the handler."""
        self._caller.close()


class _Page:
    """What becomes of the values of one chunk.

    They are encoded block by block where the parts may be joined, and else all at once at the end.
    """

    def __init__(
        self, encoder: RowEncoder, letters: Letters, layout: bytes | None, *, needs_layout: bool
    ) -> None:
        self.letters = letters
        self._encoder = encoder
        self._layout = layout
        self._needs_layout = needs_layout
        self._counts = Counts()
        self._parts: list[Encoded] = []
        self._values: list[Any] = []
        self._kept: list[int] = []
        self._items: dict[int, Any] = {}

    def add(self, items: Sequence[Any], numbers: Sequence[int], called: Called) -> None:
        """Take what the handler said to the rows *numbers*."""
        values: Sequence[Any] = called.values
        kept = numbers
        if called.failures or type(None) in set(map(type, values)):
            good = [
                index
                for index, value in enumerate(values)
                if value is not None and index not in called.failures
            ]
            self._counts.filtered += len(values) - len(good) - len(called.failures)
            values, kept = [values[index] for index in good], [numbers[index] for index in good]
        if self._encoder.is_joinable:
            self._encode(values, kept, lambda number: items[numbers.index(number)])
        else:
            self._values += values
            self._kept += kept
            self._items.update(zip(numbers, items, strict=True))

    def _encode(self, values: Sequence[Any], kept: Sequence[int], item_of: Any) -> None:
        if self._layout is None and self._needs_layout:
            self._layout = self._encoder.layout(values)
        body, unusable = self._encoder.encode(values, self._layout)
        for index, why in unusable.items():
            failed = Failed(why, "unusable_result")
            self.letters.failed(kept[index], item_of(kept[index]), failed, 1, stage="sink")
        self._counts.succeeded += len(values) - len(unusable)
        self._parts.append(body)

    def finish(self, result: Result) -> Result:
        """Return *result* with what was encoded."""
        if not self._encoder.is_joinable or not self._parts:  # a chunk without rows may know the columns
            self._encode(self._values, self._kept, self._items.__getitem__)
            result.numbers = array("Q", self._kept)
        result.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        result.dead = self.letters.lines()
        result.codes = self.letters.codes
        result.layout = self._layout
        result.counts.succeeded = self._counts.succeeded
        result.counts.filtered = self._counts.filtered
        result.counts.failed = self.letters.total
        return result


def _letters_only(task: Task, blocks: Iterator[Rows], letters: Letters) -> Result:
    """Return the letters of the rows whose results the sink has refused; the handler is not called."""
    for rows in blocks:
        letters.open(rows.start, rows.places)
    for number, refusal in task.refused.items():
        letters.refused(number, refusal)
    return Result(
        number=task.chunk.number,
        dead=letters.lines(),
        counts=Counts(failed=letters.total),
        codes=letters.codes,
    )


def _note(task: Task, rows: Rows, letters: Letters, result: Result) -> None:
    """Count the rows of a block, and write down those that no handler gets."""
    result.counts.read += rows.total
    result.counts.blank += rows.blank
    for number, bad in rows.bad.items():
        letters.bad(number, bad)
    if task.convicted:
        for number in sorted(set(rows.numbers) & task.convicted.keys()):
            letters.crash(number, task.convicted[number])


def _without(rows: Rows, convicted: Mapping[int, Crash]) -> tuple[list[Any], Sequence[int]]:
    """Return the items to run, and the number of each among all records of the chunk."""
    numbers = rows.numbers
    if not convicted:
        return rows.items, numbers
    kept = [index for index, number in enumerate(numbers) if number not in convicted]
    return [rows.items[index] for index in kept], [numbers[index] for index in kept]


class Numbered:
    """A marker of items that tells another one the numbers of their rows."""

    def __init__(self, marker: Marker, numbers: Sequence[int]) -> None:
        self._marker = marker
        self._numbers = numbers

    def running(self, first: int, stop: int) -> None:
        """Note the numbers of the items [first, stop)."""
        self._marker.running(self._numbers[first], self._numbers[stop - 1] + 1)

    def idle(self) -> None:
        """Note that no handler runs."""
        self._marker.idle()
