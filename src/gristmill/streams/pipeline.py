"""``Pipeline``: inputs of any size through a batch handler into an output, exactly once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from gristmill.batching.executors.function_ref import FunctionRef, refer
from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.chunk import Chunk
from gristmill.streams.dead_letter import DeadLetterFile
from gristmill.streams.disk import writing
from gristmill.streams.driver import Pace, Run
from gristmill.streams.endpoints import same_file, sink_of, source_of
from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.local import LocalPool
from gristmill.streams.engines.protocol import Engine
from gristmill.streams.failures import FailureLimit
from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
from gristmill.streams.report import Report, Stalls
from gristmill.streams.sinks.protocol import EncoderRecipe, Sink, TypedRecipe
from gristmill.streams.sinks.sql import SqlSink
from gristmill.streams.sinks.unkept import StandardOutput, UnkeptOutput
from gristmill.streams.sources.protocol import ReaderRecipe, Source
from gristmill.streams.sources.table_files import TableFiles, WholeBlocks
from gristmill.streams.sources.text_file import TextFiles
from gristmill.streams.stopping import Stopping
from gristmill.streams.worker.column_calls import largest_call
from gristmill.streams.worker.columns import ColumnWork
from gristmill.streams.worker.rows import RowWork

COLUMNS = Pace(chunk_bytes=4 << 20, first_bytes=1 << 20, window=4)
"""The pace of columnar handlers, for which the fixed costs of a chunk count."""

_CALLS = 64
"""Handler calls that a chunk may have at most for the sake of copying columns."""
_TABLES = ("parquet", "arrow", "arrow stream")
"""Output formats whose columns have types."""
_VERSION = 1
"""Of what checkpoints hold."""


class Pipeline:
    """Pushes inputs through a batch handler into an output.

    ::

        report = Pipeline("people.csv", create_users, "users.ndjson").run()

    Memory stays bounded whatever the size of the input. The process may be
    killed at any instant: the same call goes on where the last commit was,
    and the output is as if nothing had happened. The handler may see rows
    again that were not committed.

    Args:
        source: A path, a pattern, ``-`` for standard input, several of them, or a ``Source``.
        handler: What ``@batch`` made, at the top level of a module; it runs in worker processes.
        sink: A path, ``-`` for standard output, or a ``Sink``.
        read: How inputs are read.
        write: How the output is written.
        options: How the run goes.

    Attributes:
        dead_letter_path: Where rows that fail go; None if they are only counted. For a table it is known once
            it runs.

    Raises:
        ConfigurationError: Something of this cannot work; the message says what to do.
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path] | Source,
        handler: BatchHandler[Any, Any],
        sink: str | Path | Sink,
        *,
        read: ReadOptions | None = None,
        write: WriteOptions | None = None,
        options: RunOptions | None = None,
    ) -> None:
        self.handler = handler
        self.options = options or RunOptions()
        inputs = [source] if isinstance(source, str | Path) else source
        self.source: Source = (
            source_of(inputs, read or ReadOptions(), is_columnar=handler.is_columnar)
            if isinstance(inputs, Sequence)
            else inputs
        )
        self.sink: Sink = (
            sink_of(sink, write or WriteOptions(), self.source.names, handler.result_type)
            if isinstance(sink, str | Path)
            else sink
        )
        if isinstance(self.source, TableFiles) and self._copies_columns():
            self.source.keep_whole(WholeBlocks(rows=_CALLS * largest_call(handler, self.options.batch_size)))
        self.dead_letter_path = self._dead_letters(None)
        self._check_dead_letter()

    def run(
        self,
        engine: Engine | None = None,
        *,
        watch: Callable[[Report], None] | None = None,
        stopping: Stopping | None = None,
    ) -> Report:
        """Run to the end, or go on with a run that was stopped.

        Args:
            engine: Where chunks run; by default a pool of processes, ``workers`` of them.
            watch: Told of what is done, some times a second, and at the end.
            stopping: Looked at as often; once asked, the run ends early, to be resumed.

        Returns:
            What became of the rows; those of earlier parts of the run included.

        Raises:
            ConfigurationError: The output is there already, or of another run.
            StreamError: It had to stop; what was committed is safe, and the same call goes on.
            EndRun: The handler has ended it; otherwise the same.
        """
        stopping = stopping or Stopping()
        dead: DeadLetterFile | None = None
        try:
            with stopping.reading():
                marks = self.source.open()
            reader = self.source.recipe()  # before anything is written: it may say what cannot work
            handler = refer(self.handler)  # as this may
            identity = Identity(
                version=_VERSION,
                sources=tuple(marks),
                handler=f"{self.handler.__module__}:{self.handler.__qualname__}",
                options={**self.source.options, **self.sink.options, **self._own_options()},
            )
            self.dead_letter_path = self._dead_letters(identity)
            self._check_dead_letter()
            if self.dead_letter_path is not None:
                dead = DeadLetterFile(self.dead_letter_path)
                with writing(str(dead.path)):
                    dead.claim()  # before the sink, which may take the run from the process that has the file
            with writing(self.sink.name):
                found = self.sink.open(identity, overwrite=self.options.overwrite)
            if found is not None and found.is_done:
                return _done(found, self.source)
            checkpoint = found or self._begun(dead)
            if dead is not None:
                with writing(str(dead.path)):
                    dead.open(checkpoint.dead)
            return self._run(
                engine or self._engine(),
                handler,
                reader,
                checkpoint,
                dead,
                watch=watch or _look_away,
                stopping=stopping,
            )
        finally:
            self.source.close()
            self.sink.close()
            if dead is not None:
                dead.close()

    def _copies_columns(self) -> bool:
        """Tell whether columns go from Parquet to Parquet."""
        is_parquet = (
            self.source.options.get("input format") == self.sink.options.get("output format") == "parquet"
        )
        return self.handler.is_columnar and is_parquet

    def _begun(self, dead: DeadLetterFile | None) -> Checkpoint:
        """Commit and return the first checkpoint of a run: the dead-letter file is its own from now on."""
        if dead is not None and not self.options.overwrite:
            dead.check_new()
        checkpoint = Checkpoint(out=self.sink.length, is_begun=True)
        with writing(self.sink.name):
            self.sink.commit(checkpoint)
        return checkpoint

    def _check_dead_letter(self) -> None:
        """Refuse to write dead letters over an input or the output."""
        path = self.dead_letter_path
        if path is None:
            return
        output = Path(self.sink.name)
        own = [output, *(output.with_name(output.name + end) for end in (".partial", ".journal"))]
        for other in [*map(Path, self.source.names), *own]:
            if same_file(path, other):
                what = "the output" if other in own else "an input"
                raise ConfigurationError(
                    f"rows that fail would be written to {path}, which is {what}; name another file with "
                    "--dead-letter"
                )

    def _run(
        self,
        engine: Engine,
        handler: FunctionRef,
        reader: ReaderRecipe,
        checkpoint: Checkpoint,
        dead: DeadLetterFile | None,
        *,
        watch: Callable[[Report], None],
        stopping: Stopping,
    ) -> Report:
        encoder = self.sink.recipe()
        if isinstance(encoder, TypedRecipe) and isinstance(self.source, TableFiles):
            encoder = encoder.knowing(self.source.layout())
        kind = ColumnWork if self.handler.is_columnar else RowWork
        work = kind(
            handler=handler,
            reader=reader,
            encoder=encoder,
            sources=tuple(self.source.names),
            batch_size=self.options.batch_size,
        )
        is_whole = False
        engine.start(work, timeout=self.handler.limits.timeout)
        try:
            report = Run(
                source=self.source,
                sink=self.sink,
                engine=engine,
                dead=dead,
                checkpoint=checkpoint,
                is_ordered=self.options.ordered,
                needs_layout=encoder.needs_layout,
                fallback=self._fallback(encoder),
                limit=FailureLimit.parse(self.options.max_failures),
                pace=self._pace(),
                watch=watch,
                stopping=stopping,
                row_limit=self.options.limit,
                is_replay=isinstance(self.source, TextFiles) and self.source.is_replay,
                shortened=self.source.shortened if isinstance(self.source, TextFiles) else _not_shortened,
            ).run()
            is_whole = True
            return report
        finally:
            engine.stop(kill=not is_whole)

    def _engine(self) -> Engine:
        workers = self.options.workers
        if workers == 0:
            return Inline()
        # A fork server that runs already has the old standard output, which is the result's now.
        return LocalPool(workers or _cpus(), stdout_to_stderr=isinstance(self.sink, StandardOutput))

    def _pace(self) -> Pace:
        pace = COLUMNS if self.handler.is_columnar else Pace()
        pace = replace(pace, commit_seconds=self.options.commit_seconds)
        largest = self.options.chunk_bytes
        return pace if largest is None else replace(pace, chunk_bytes=largest, most_bytes=largest)

    def _own_options(self) -> dict[str, Any]:
        return {"ordered": self.options.ordered, "limit": self.options.limit}

    def _dead_letters(self, identity: Identity | None) -> Path | None:
        if self.options.dead_letter is not None:
            path = Path(self.options.dead_letter)
            return None if path.exists() and path.samefile(os.devnull) else path
        if isinstance(self.sink, SqlSink):
            return None if identity is None else Path(self.sink.dead_letters(identity))
        if isinstance(self.sink, UnkeptOutput):
            return None
        return Path(f"{self.sink.name.rstrip('/')}.dead.ndjson")

    def _fallback(self, encoder: EncoderRecipe) -> bytes | None:
        """Return the columns where no chunk says any: those of the results, or of the input."""
        if encoder.needs_layout and not self.handler.is_columnar:
            known = encoder.rows(self.handler.result_type).layout([])
            if known is not None:
                return known
        if isinstance(self.source, TableFiles) and self.sink.options.get("output format") in _TABLES:
            return self.source.layout()
        columns = self.source.columns
        return None if columns is None else msgspec.json.encode(list(columns))


def _not_shortened(_chunk: Chunk) -> None:
    """Give up all rows of a chunk that cannot be read."""


def _look_away(report: Report) -> None:
    """Show nothing of *report*."""


def _done(checkpoint: Checkpoint, source: Source) -> Report:
    total = source.total or 0
    return Report(
        total=source.total, counts=checkpoint.counts, stalls=Stalls(lambda: 0.0), start=total, weight=total,
        committed=total, is_done=True, was_done=True, codes=dict(checkpoint.codes),
    )  # fmt: skip


def _cpus() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
