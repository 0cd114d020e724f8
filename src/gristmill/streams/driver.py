"""The run itself: plan chunks, have them run, write the results in order, commit. One thread, no loop."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from gristmill.batching.executors.remote_error import RemoteError
from gristmill.errors import EndRun, GristmillError, SourceError, TooManyFailures, WorkersLost
from gristmill.streams.checkpoint import Checkpoint, Progress
from gristmill.streams.chunk import Chunk, Counts, Result, Task
from gristmill.streams.dead_letter import DeadLetterFile, merged, renumbered
from gristmill.streams.disk import writing
from gristmill.streams.engines.protocol import Broken, Died, Engine, Event, Finished
from gristmill.streams.failures import FailureLimit
from gristmill.streams.ladder import Ladder
from gristmill.streams.report import Report, Stalls
from gristmill.streams.sinks.protocol import RowsRefused, Sink
from gristmill.streams.sources.protocol import Source
from gristmill.streams.stopping import Interrupted, Stopping
from gristmill.streams.window import ChunkSizer, Rest, Window

_LOGGER = logging.getLogger("gristmill.streams")
_TICK = 0.25
"""Seconds between looks at the clock and the signals while nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is under way, and how often it is committed.

    Attributes:
        chunk_bytes: Of a chunk at most.
        most_bytes: Of a chunk at most where the handler takes so many rows at once.
        first_bytes: Of the first chunk: small, so that the first results come soon and decide the columns.
        chunk_seconds: What a chunk should take.
        window: Chunks under way at most, for each worker.
        window_bytes: Of the chunks under way at most, for each worker, where there are more than workers.
        commit_seconds: Between commits at most.
        commit_bytes: Written between commits at most.
    """

    chunk_bytes: int = 512 << 10
    most_bytes: int = 16 << 20
    first_bytes: int = 16 << 10
    chunk_seconds: float = 0.5
    window: int = 4
    window_bytes: int = 128 << 20
    commit_seconds: float = 1.0
    commit_bytes: int = 64 << 20


@dataclass(slots=True, kw_only=True)
class Run:
    """One run, from where its checkpoint is to its end.

    Attributes:
        source: Open.
        sink: Open.
        engine: Started.
        dead: Open; None if failed rows are counted only.
        checkpoint: Where to go on.
        is_ordered: Whether results are written in the order of the rows.
        needs_layout: Whether the first chunk decides the sink's columns.
        fallback: The columns where none does.
        limit: How many rows may fail.
        pace: How fast.
        watch: Told of each commit and tick.
        stopping: Looked at in between: whether to end early.
        row_limit: Rows to read at most; None: all.
        is_replay: Whether dead letters tell the rows of an earlier run, and not of this one.
        shortened: Returns the beginning of a chunk that cannot be read, as far as it may be; None if there is
            none shorter than the chunk.
        clock: Monotonic seconds.
    """

    source: Source
    sink: Sink
    engine: Engine
    dead: DeadLetterFile | None
    checkpoint: Checkpoint
    is_ordered: bool
    needs_layout: bool
    fallback: bytes | None
    limit: FailureLimit
    pace: Pace
    watch: Callable[[Report], None]
    stopping: Stopping
    row_limit: int | None = None
    is_replay: bool = False
    shortened: Callable[[Chunk], Chunk | None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    report: Report = field(init=False)
    _progress: Progress = field(init=False)
    _window: Window = field(init=False)
    _sizer: ChunkSizer = field(init=False)
    _rest: Rest = field(init=False)
    _ladder: Ladder = field(default_factory=Ladder, init=False)
    _again: deque[Task] = field(default_factory=deque, init=False)
    _plan: Iterator[Chunk] = field(init=False)
    _is_planned: bool = field(default=False, init=False)
    _failure: SourceError | None = field(default=None, init=False)
    _stop_at: float | None = field(default=None, init=False)
    _with_engine: int = field(default=0, init=False)
    _began: dict[int, float] = field(default_factory=dict, init=False)
    _refused: dict[int, Result] = field(default_factory=dict, init=False)
    _committed_at: float = field(init=False)
    _written: int = field(default=0, init=False)
    _stalls: Stalls = field(init=False)

    def __post_init__(self) -> None:
        """Set up what grows."""
        self._progress = Progress(self.checkpoint)
        limit = self.pace.window * max(1, self.engine.workers) if self.row_limit is None else 1
        self._window = Window(
            limit=limit,
            is_ordered=self.is_ordered,
            workers=self.engine.workers,
            most_bytes=self.pace.window_bytes * max(1, self.engine.workers),
        )
        self._sizer = ChunkSizer(
            self.pace.chunk_bytes,
            seconds=self.pace.chunk_seconds,
            first=self.pace.first_bytes,
            most=self.pace.most_bytes,
            workers=self.engine.workers,
        )
        total, done = self.source.total, self.source.weight(self.checkpoint)
        self._rest = Rest(None if total is None else total - done)
        self._plan = self.source.plan(self.checkpoint, lambda: self._sizer.next(self._rest.size))
        self._committed_at = self.clock()
        self._stalls = Stalls(self.clock)
        self.report = Report(
            total=total,
            counts=self._progress.counts,
            codes=self._progress.codes,
            stalls=self._stalls,
            start=done,
            weight=done,
            committed=done,
        )

    def run(self) -> Report:
        """Run to the end, or until it is stopping; what is written is committed either way.

        Returns:
            What became of it; ``is_done`` tells whether it is over.

        Raises:
            StreamError: It cannot go on. What was committed is safe.
            EndRun: The handler has ended it.
        """
        self.limit.check(self._progress.counts)  # of earlier parts of the run
        try:
            while self._window.under_way or not self._is_planned:
                if self._is_over():
                    return self._stopped()
                self._fill()
                if self._with_engine:
                    self._handle(self._wait())
                self._commit_if_due()
                self.watch(self.report)
        except BaseException as error:
            self._save(error)
            raise
        if self._failure is not None:
            return self._stopped()
        try:
            return self._finish()
        except TooManyFailures:
            self._commit()
            raise

    def _is_over(self) -> bool:
        """Tell whether to end early: asked to, and nothing is under way, or not for any longer."""
        if not self.stopping.asked:
            return False
        if self._stop_at is None:
            self._stop_at = self.clock() + self.stopping.grace
        return self.stopping.insisted or not self._window.under_way or self.clock() >= self._stop_at

    def _wait(self) -> list[Event]:
        reason = "order" if self._window.is_full and self._window.is_waiting_for_order else "workers"
        with self._stalls.waiting(reason):
            return list(self.engine.wait(_TICK))

    def _fill(self) -> None:
        """Give the engine what it has room for."""
        while self.engine.room > 0:
            if self._again:
                self._submit(self._again.popleft())
                continue
            if self._is_planned or self._window.is_full or self._is_probing_layout() or self.stopping.asked:
                return
            if self._rows_left() == 0:
                self._is_planned = True
                return
            chunk = self._planned()
            if chunk is None:
                return
            self._window.give_out(chunk)
            self._submit(Task(chunk=chunk, layout=self._progress.layout, limit=self._rows_left()))

    def _planned(self) -> Chunk | None:
        """Return the next chunk; None if there is none, or none that can be read."""
        try:
            with self._stalls.waiting("source"), self.stopping.reading():
                chunk = next(self._plan, None)
        except SourceError as error:
            self._failure = self._failure or error
            chunk = None
        except Interrupted:
            if self.stopping.insisted:
                raise
            return None
        if chunk is None:
            self._is_planned = True
        else:
            self._rest.take(chunk)
        return chunk

    def _rows_left(self) -> int | None:
        """Return how many rows may still be read; None for all. With one, chunks run one at a time."""
        return None if self.row_limit is None else max(0, self.row_limit - self._progress.counts.read)

    def _is_probing_layout(self) -> bool:
        """Tell whether a chunk is under way that may decide the columns, so that others wait for it."""
        return self.needs_layout and self._progress.layout is None and bool(self._window.under_way)

    def _submit(self, task: Task) -> None:
        self._began[task.chunk.number] = self.clock()
        self.engine.submit(task)
        self._with_engine += 1

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            self._with_engine -= 1
            if event.task.chunk.number not in self._window.under_way:
                continue  # given up, as an earlier one is broken
            if isinstance(event, Broken):
                self._broken(event)
            elif isinstance(event, Died):
                self._died(event)
            elif event.task.only is not None:
                self._again.appendleft(self._ladder.survived(event.task))
            elif event.task.refused:
                self._lettered(event)
            else:
                self._finished(event)

    def _broken(self, broken: Broken) -> None:
        """End the run because of a chunk, once those before it are written, and what can be had of it.

        Nothing is read any more. In ordered runs the chunks after it are of no use.
        """
        if not isinstance(broken.error, SourceError):
            raise self._reason(broken)
        self._failure, self._is_planned = broken.error, True
        number = broken.task.chunk.number
        for each in [each for each in self._window.under_way if each >= number]:
            if each == number and (shorter := self.shortened(broken.task.chunk)) is not None:
                self._window.give_out(shorter)
                self._submit(replace(broken.task, chunk=shorter))
            elif self.is_ordered or each == number:
                del self._window.under_way[each]

    def _reason(self, broken: Broken) -> BaseException:
        """Return what ends the run because of an error that is not of the input."""
        error, chunk = broken.error, broken.task.chunk
        if isinstance(error, EndRun | GristmillError):
            return error
        if isinstance(error, SystemExit):
            return WorkersLost(
                f"a worker was told to end by sys.exit({error.code!r}) where it imports the handler: "
                "have its module do so under if __name__ == '__main__' only"
            )
        where = f"{self.source.names[chunk.source]}, {chunk.start:,} to {chunk.end:,}"
        _LOGGER.error("a worker failed at %s", where, exc_info=error)
        said = str(error) if isinstance(error, RemoteError) else f"{type(error).__qualname__}: {error}"
        return WorkersLost(f"a worker failed at {where}, and no row is to blame: {said.removesuffix(': ')}")

    def _died(self, died: Died) -> None:
        self.report.deaths += 1
        task = self._ladder.died(died)
        if task is None:
            chunk = died.task.chunk
            raise WorkersLost(
                f"workers die on {self.source.names[chunk.source]}, {chunk.start:,} to {chunk.end:,}, "
                f"whatever rows they run: the last one {died.reason}"
            )
        self._again.appendleft(task)

    def _finished(self, event: Finished) -> None:
        chunk, result = event.task.chunk, event.result
        self._ladder.close(chunk)
        self._sizer.record(
            chunk.size if chunk.body is None else len(chunk.body),
            self.clock() - self._began.pop(chunk.number),
            rows=result.counts.read,
            batch=result.batch_cap,
        )
        if self._progress.layout is None:
            self._progress.layout = result.layout
        self.report.seen(result)
        self._take(result)

    def _take(self, result: Result) -> None:
        with self._stalls.waiting("sink"):
            for ready, its in self._window.take(result):
                try:
                    with writing(self.sink.name):
                        self.sink.write(its)
                except RowsRefused as refused:
                    self._window.wait_again()
                    self._ask_for_letters(ready, its, refused)
                else:
                    self._written_down(ready, its)

    def _ask_for_letters(self, chunk: Chunk, result: Result, refused: RowsRefused) -> None:
        """Have a worker write the dead letters of rows the sink refused; the handler does not run again."""
        self._refused[chunk.number] = replace(result, refused=result.refused | refused.rows.keys())
        letters = {result.numbers[index]: refusal for index, refusal in refused.rows.items()}
        self._again.append(Task(chunk=chunk, refused=letters))

    def _lettered(self, event: Finished) -> None:
        chunk, letters = event.task.chunk, event.result
        self._ladder.close(chunk)
        del self._began[chunk.number]
        result = self._refused.pop(chunk.number)
        counts = Counts()
        counts.add(result.counts)
        counts.add(letters.counts)
        counts.succeeded -= letters.counts.failed
        codes = dict(result.codes)
        for code, number in letters.codes.items():
            codes[code] = codes.get(code, 0) + number
        self._take(replace(result, dead=merged(result.dead, letters.dead), counts=counts, codes=codes))

    def _written_down(self, chunk: Chunk, result: Result) -> None:
        if self.dead is not None:
            with writing(str(self.dead.path)):
                before = self._progress.rows if self.is_ordered and not self.is_replay else 0
                self.dead.write(renumbered(result.dead, before))
        self._written += len(result.body) + len(result.dead)
        self._progress.add(chunk, result.counts, result.codes)
        self.report.written(chunk)
        self.limit.check(self._progress.counts)

    def _commit_if_due(self) -> None:
        if not self._written and self.report.weight == self.report.committed:
            return
        is_due = self.clock() - self._committed_at >= min(self.pace.commit_seconds, self.sink.commit_seconds)
        if is_due or self._written >= self.pace.commit_bytes:
            self._commit()

    def _commit(self) -> None:
        with self._stalls.waiting("sink"):
            self._sync_dead()
            with writing(self.sink.name):
                self.sink.commit(self._checkpoint())
        self._committed_at = self.clock()
        self._written = 0
        self.report.commit()

    def _sync_dead(self) -> None:
        if self.dead is not None:
            with writing(str(self.dead.path)):
                self.dead.sync()

    def _checkpoint(self, *, is_done: bool = False) -> Checkpoint:
        return self._progress.checkpoint(
            out=self.sink.length, dead=0 if self.dead is None else self.dead.length, is_done=is_done
        )

    def _stopped(self) -> Report:
        """Commit what is written; what is under way runs again when the run is resumed."""
        self._commit()
        if self._failure is not None:
            raise self._failure
        self.watch(self.report)
        return self.report

    def _save(self, error: BaseException) -> None:
        """Commit what was written before *error*, if it was not the sink that failed."""
        if isinstance(error, EndRun | SourceError | TooManyFailures | WorkersLost):
            self._commit()

    def _finish(self) -> Report:
        self.limit.check(self._progress.counts, is_end=True)
        last = self._checkpoint(is_done=True)
        with self._stalls.waiting("sink"):
            self._sync_dead()
            with writing(self.sink.name):
                self.sink.finish(last, self._progress.layout or self.fallback)
        self.report.is_done = True
        self.report.commit()
        self.watch(self.report)
        return self.report
