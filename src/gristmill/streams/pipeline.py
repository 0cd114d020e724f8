"""``Pipeline``: inputs of any size through a batch handler into an output, exactly once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gristmill.batching.executors.function_ref import refer
from gristmill.batching.handler import BatchHandler
from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.dead_letter import DeadLetterFile
from gristmill.streams.driver import Pace, Run
from gristmill.streams.endpoints import STANDARD, sink_of, source_of
from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.local import LocalPool
from gristmill.streams.engines.protocol import Engine
from gristmill.streams.failures import FailureLimit
from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
from gristmill.streams.report import Report
from gristmill.streams.sinks.protocol import Sink
from gristmill.streams.sinks.sql import SqlSink
from gristmill.streams.sources.protocol import Source
from gristmill.streams.worker.rows import RowWork

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
        self.source: Source = source_of(inputs, read or ReadOptions()) if isinstance(inputs, Sequence) else inputs
        self.sink: Sink = (
            sink_of(sink, write or WriteOptions(), self.source.names, handler.result_type)
            if isinstance(sink, str | Path) else sink
        )

    def run(
        self,
        engine: Engine | None = None,
        *,
        watch: Callable[[Report], None] = lambda report: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> Report:
        """Run to the end, or go on with a run that was stopped.

        Args:
            engine: Where chunks run; by default a pool of processes, ``workers`` of them.
            watch: Told of what is done, some times a second, and at the end.
            is_stopping: Asked as often; True ends the run at its last commit, to be resumed.

        Returns:
            What became of the rows; those of earlier parts of the run included.

        Raises:
            ConfigurationError: The output is there already, or of another run.
            StreamError: It had to stop; what was committed is safe, and the same call goes on.
        """
        dead: DeadLetterFile | None = None
        try:
            marks = self.source.open()
            identity = Identity(
                version=_VERSION,
                sources=tuple(marks),
                handler=f"{self.handler.__module__}:{self.handler.__qualname__}",
                options={**self.source.options, **self.sink.options, **self._own_options()},
            )
            dead = self._dead_letters(identity)
            if dead is not None:
                dead.claim()  # before the sink, which may take the run from the process that has the file
            found = self.sink.open(identity, overwrite=self.options.overwrite)
            checkpoint = found or Checkpoint()
            if dead is not None:
                dead.open(checkpoint.dead)
            if checkpoint.is_done:
                return _done(checkpoint, self.source)
            return self._run(engine or self._engine(), checkpoint, dead, watch, is_stopping)
        finally:
            self.source.close()
            self.sink.close()
            if dead is not None:
                dead.close()

    def _run(
        self,
        engine: Engine,
        checkpoint: Checkpoint,
        dead: DeadLetterFile | None,
        watch: Callable[[Report], None],
        is_stopping: Callable[[], bool],
    ) -> Report:
        encoder = self.sink.recipe()
        work = RowWork(
            handler=refer(self.handler),
            reader=self.source.recipe(),
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
                fallback=self._fallback(),
                limit=FailureLimit.parse(self.options.max_failures),
                pace=Pace(),
                watch=watch,
                is_stopping=is_stopping,
            ).run()
            is_whole = True
            return report
        finally:
            engine.stop(kill=not is_whole)

    def _engine(self) -> Engine:
        workers = self.options.workers
        if workers == 0:
            return Inline()
        return LocalPool(workers or _cpus())

    def _own_options(self) -> dict[str, Any]:
        return {"ordered": self.options.ordered, "limit": self.options.limit}

    def _dead_letters(self, identity: Identity) -> DeadLetterFile | None:
        if self.options.dead_letter is not None:
            return DeadLetterFile(Path(self.options.dead_letter))
        if isinstance(self.sink, SqlSink):
            return DeadLetterFile(Path(self.sink.dead_letters(identity)))
        return None if self.sink.name == "standard output" else DeadLetterFile(Path(f"{self.sink.name}.dead.ndjson"))

    def _fallback(self) -> bytes | None:
        columns = self.source.columns
        return None if columns is None else msgspec.json.encode(list(columns))


def _done(checkpoint: Checkpoint, source: Source) -> Report:
    from gristmill.streams.report import Stalls

    total = source.total or 0
    return Report(
        total=source.total, counts=checkpoint.counts, stalls=Stalls(lambda: 0.0), start=total, weight=total,
        committed=total, is_done=True, codes=dict(checkpoint.codes),
    )  # fmt: skip


def _cpus() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
