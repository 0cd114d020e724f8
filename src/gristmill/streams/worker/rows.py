"""Chunks as rows: read, run through the handler in batches, encode what came out, write down what did not."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batching.executors.function_ref import FunctionRef, resolve
from gristmill.batching.handler import BatchHandler
from gristmill.model.outcome import Failed
from gristmill.streams.chunk import Counts, Crash, Result, Task
from gristmill.streams.engines.protocol import Marker
from gristmill.streams.sinks.protocol import EncoderRecipe, RowEncoder
from gristmill.streams.sources.protocol import ReaderRecipe, Rows
from gristmill.streams.worker.calls import Called, Caller
from gristmill.streams.worker.letters import Letters


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
    """Runs chunks as rows."""

    def __init__(self, handler: BatchHandler[Any, Any], work: RowWork) -> None:
        self._reader = work.reader.rows(handler.item_type)
        self._encoder: RowEncoder = work.encoder.rows(handler.result_type)
        self._needs_layout = work.encoder.needs_layout
        self._sources = work.sources
        self._caller = Caller(handler, work.batch_size)

    def run(self, task: Task, marker: Marker) -> Result:
        """Run *task*; see ``Runner.run``."""
        rows = self._reader.read(task.chunk)
        if task.only is not None:
            self._probe(task, rows, marker)
            return Result(number=task.chunk.number)
        if task.refused:
            return self._letters_only(task, rows)
        items, numbers = _without(rows, task.convicted)
        called = self._caller.call(items, _Numbered(marker, numbers), task.batch_size)
        letters = Letters(self._reader, self._sources[task.chunk.source], rows)
        return self._result(task, rows, items, numbers, called, letters)

    def _letters_only(self, task: Task, rows: Rows) -> Result:
        letters = Letters(self._reader, self._sources[task.chunk.source], rows)
        for number, refusal in task.refused.items():
            letters.refused(number, refusal)
        return Result(
            number=task.chunk.number,
            dead=letters.lines(),
            counts=Counts(failed=letters.total),
            codes=letters.codes,
        )

    def _probe(self, task: Task, rows: Rows, marker: Marker) -> None:
        items, numbers = _without(rows, task.convicted)
        first, stop = task.only or (0, 0)
        probed = [item for item, number in zip(items, numbers, strict=True) if first <= number < stop]
        if probed:
            marker.running(first, stop)
            self._caller.probe(probed)
            marker.idle()

    def _result(
        self, task: Task, rows: Rows, items: list[Any], numbers: Sequence[int], called: Called, letters: Letters
    ) -> Result:
        for number, bad in rows.bad.items():
            letters.bad(number, bad)
        for number, crash in task.convicted.items():
            letters.crash(number, crash)
        for index, (failed, attempts) in called.failures.items():
            letters.failed(numbers[index], items[index], failed, attempts)
        values, kept = called.values, numbers
        filtered = 0
        if called.failures or type(None) in set(map(type, values)):
            good = [
                index for index, value in enumerate(values) if value is not None and index not in called.failures
            ]
            filtered = len(values) - len(good) - len(called.failures)
            values, kept = [values[index] for index in good], [numbers[index] for index in good]
        layout = task.layout
        if layout is None and self._needs_layout:
            layout = self._encoder.layout(values)
        body, unusable = self._encoder.encode(values, layout)
        if unusable:
            item_of = dict(zip(numbers, items, strict=True))
            for index, why in unusable.items():
                number = kept[index]
                letters.failed(number, item_of[number], Failed(why, "unusable_result"), 1, stage="sink")
        counts = Counts(
            read=rows.total,
            succeeded=len(values) - len(unusable),
            failed=letters.total,
            filtered=filtered,
            blank=rows.blank,
        )
        return Result(
            number=task.chunk.number,
            body=body,
            dead=letters.lines(),
            counts=counts,
            layout=layout,
            batches=called.batches,
            seconds=called.seconds,
            batch_size=called.batch_size,
            codes=letters.codes,
            numbers=kept if isinstance(kept, range) else array("Q", kept),
        )

    def close(self) -> None:
        """End the event loop of the handler."""
        self._caller.close()


def _without(rows: Rows, convicted: Mapping[int, Crash]) -> tuple[list[Any], Sequence[int]]:
    """Return the items to run, and the number of each among all rows of the chunk."""
    numbers = rows.numbers
    if not convicted:
        return rows.items, numbers
    kept = [index for index, number in enumerate(numbers) if number not in convicted]
    return [rows.items[index] for index in kept], [numbers[index] for index in kept]


class _Numbered:
    """A marker of items that tells another one the numbers of their rows."""

    def __init__(self, marker: Marker, numbers: Sequence[int]) -> None:
        self._marker = marker
        self._numbers = numbers

    def running(self, first: int, stop: int) -> None:
        self._marker.running(self._numbers[first], self._numbers[stop - 1] + 1)

    def idle(self) -> None:
        self._marker.idle()
