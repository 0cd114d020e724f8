"""Chunks as columns: read, run through the handler in slices, encode what came out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batching.columnar import arrow
from gristmill.batching.executors.function_ref import FunctionRef, resolve
from gristmill.batching.handler import BatchHandler
from gristmill.model.outcome import Failed
from gristmill.streams.chunk import Counts, Crash, Result, Task
from gristmill.streams.engines.protocol import Marker
from gristmill.streams.sinks.protocol import ContinuingEncoder, CopyingEncoder, Encoded, EncoderRecipe
from gristmill.streams.sources.protocol import Columns, ReaderRecipe
from gristmill.streams.worker.column_calls import Called, ColumnCaller
from gristmill.streams.worker.letters import Letters
from gristmill.streams.worker.probing import probe
from gristmill.streams.worker.rows import Numbered
from gristmill.streams.worker.untouched import goes_on, memory_of, untouched


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnWork:
    """What a worker needs to run chunks as columns.

    Attributes:
        handler: Where the handler is; a columnar one.
        reader: Reads chunks.
        encoder: Encodes results.
        sources: The names of the inputs, for dead letters.
        batch_size: Rows of a handler call; ``"auto"``, or None for as many as a chunk has.
    """

    handler: FunctionRef
    reader: ReaderRecipe
    encoder: EncoderRecipe
    sources: Sequence[str]
    batch_size: int | str | None = None

    def start(self) -> ColumnRunner:
        """Load the handler, and make the runner."""
        pyarrow = arrow()
        pyarrow.set_cpu_count(1)  # workers are the parallel ones
        pyarrow.set_io_thread_count(1)
        handler: Any = resolve(self.handler)
        runner = ColumnRunner(handler, self)
        pyarrow.scalar(0)  # loads pandas where it is installed: now, while another worker has the first chunk
        return runner


class ColumnRunner:
    """Runs chunks as columns; no row becomes a Python object unless it fails."""

    def __init__(self, handler: BatchHandler[Any, Any], work: ColumnWork) -> None:
        self._reader = work.reader.columns()
        self._encoder = work.encoder.column_encoder()
        self._needs_layout = work.encoder.needs_layout
        self._sources = work.sources
        self._caller = ColumnCaller(handler, work.batch_size)

    def run(self, task: Task, marker: Marker) -> Result:
        """Run *task*; see ``Runner.run``."""
        columns = self._reader.read(task.chunk)
        if task.limit is not None and columns.total > task.limit:
            columns = columns.first(task.limit)
        if task.only is not None:
            self._probe(task.only, _without(columns, task.convicted), marker)
            return Result(number=task.chunk.number)
        kept = _without(columns, task.convicted)
        texts = _Texts(kept) if self._encoder.wants_text and kept.texts else None
        called = self._caller.call(
            kept.batch,
            Numbered(marker, kept.numbers),
            task.batch_size,
            finished=None if texts is None else texts.put_back,
        )
        return self._result(task, kept, called)

    def _probe(self, only: tuple[int, int], columns: Columns, marker: Marker) -> None:
        first, stop = (bisect_left(columns.numbers, number) for number in only)
        probe(
            columns.numbers[first:stop],
            lambda start, end: self._caller.probe(columns.batch.slice(first + start, end - start)),
            marker,
        )

    def _result(self, task: Task, columns: Columns, called: Called) -> Result:
        letters = Letters(self._reader, self._sources[task.chunk.source], columns)
        for number, bad in columns.bad.items():
            letters.bad(number, bad)
        for number, crash in task.convicted.items():
            letters.crash(number, crash)
        for index, failed in called.failures():
            letters.failed(
                columns.numbers[index], row_at(columns.batch, index), failed, called.attempts.get(index, 1)
            )
        batches = [reply.batch for reply in called.replies if reply.batch is not None]
        rows = sum(batch.num_rows for batch in batches)
        layout = task.layout
        if layout is None and self._needs_layout and rows:
            layout = self._encoder.layout(next(batch for batch in batches if batch.num_rows))
        body, unusable = self._encoded(columns, called, batches, layout) if rows else (b"", {})
        if unusable:
            indices = called.indices()
            for position, why in unusable.items():
                index = indices[position]
                letters.failed(
                    columns.numbers[index], row_at(columns.batch, index), Failed(why, "unusable_result"), 1,
                    stage="sink",
                )  # fmt: skip
        return Result(
            number=task.chunk.number,
            body=body,
            dead=letters.lines(),
            counts=Counts(
                read=columns.total,
                succeeded=rows - len(unusable),
                failed=letters.total,
                blank=columns.blank,
            ),
            layout=layout,
            batches=called.batches,
            seconds=called.seconds,
            batch_size=called.batch_size,
            codes=letters.codes,
        )

    def _encoded(
        self, columns: Columns, called: Called, batches: Sequence[Any], layout: bytes | None
    ) -> tuple[Encoded, Mapping[int, str]]:
        if columns.stored and isinstance(self._encoder, CopyingEncoder):
            same = untouched(columns.batch, called.replies)
            stored = {new: columns.stored[old] for new, old in same.items() if old in columns.stored}
            body = self._encoder.encode_copied(batches, layout, stored) if stored else None
            if body is not None:
                return body, {}
        if columns.lines is not None and isinstance(self._encoder, ContinuingEncoder):
            lines = columns.lines() if goes_on(columns.as_text(), called.replies) else None
            body = None if lines is None else self._encoder.encode_continued(batches, layout, lines)
            if body is not None:
                return body, {}
        return self._encoder.encode(batches, layout)

    def close(self) -> None:
        """Let go of what the caller holds."""
        self._caller.close()


def row_at(batch: Any, index: int) -> Any:
    """Return one row of *batch* as a dict."""
    from gristmill.streams.formats.column_text import rows_of  # noqa: PLC0415 - needs pyarrow

    return rows_of(batch.slice(index, 1))[0]


def _without(columns: Columns, convicted: Mapping[int, Crash]) -> Columns:
    """Return *columns* without the rows that may not be run."""
    if not convicted:
        return columns
    return columns.chosen([index for index, number in enumerate(columns.numbers) if number not in convicted])


class _Texts:
    """Puts the text of the input in the place of columns that the handler passed on untouched.

    Untouched is a column of the same memory: no value is compared.
    """

    def __init__(self, columns: Columns) -> None:
        self._texts = {memory_of(columns.batch.column(name)): text for name, text in columns.texts.items()}

    def put_back(self, given: Any, result: Any) -> Any:
        """Return *result* with text where a column is that of the chunk *given* is a slice of."""
        if not given.num_rows:
            return result
        arrays = []
        for array in result.columns:
            text = self._texts.get(memory_of(array))
            arrays.append(array if text is None else text.slice(array.offset, len(array)))
        return arrow().RecordBatch.from_arrays(arrays, names=result.schema.names)
