"""The engine of one machine: worker processes that die one task at a time."""

from __future__ import annotations

import selectors
import sys
import time
from bisect import insort
from collections import deque
from collections.abc import Sequence
from multiprocessing import util
from typing import Literal

from gristmill.batching.executors.child_process import context_of, cpus
from gristmill.batching.executors.remote_error import unpack
from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Task
from gristmill.streams.engines.frames import TornFrame
from gristmill.streams.engines.local_main import MainOptions
from gristmill.streams.engines.local_process import LocalProcess
from gristmill.streams.engines.local_rules import (
    ATTEMPTS,
    Held,
    Verdict,
    allot,
    blame,
    frozen,
    never_started,
    overdue,
)
from gristmill.streams.engines.messages import Answer, Ready, dump_work
from gristmill.streams.engines.protocol import Broken, Event, Finished, Work

GRACE = 5.0
"""Seconds an idle worker has to end by itself before it is killed."""

_HANG_UP = 1.0  # seconds between the end of a worker's pipe and its own before it is killed
_TICK = 0.25  # seconds between two looks at the memory of workers

_Watched = tuple[LocalProcess, bool]  # whether it is its sentinel


class LocalPool:
    """Runs tasks in worker processes of this machine; the death of one costs its task and no other.

    Each worker has at most one task that runs and one more in its pipe, so
    that it never waits for the parent. What was in the pipe of a worker that
    died goes to another, and nobody speaks of it. Workers end with ``stop``,
    with the interpreter, and when their parent is killed. They ignore
    Ctrl-C; SIGTERM ends one like any other death.

    All methods belong to one thread, and the parent needs no other. ``wait``
    must be called for anything to move; the signal handlers of the program
    must not raise while it runs, or only ``stop(kill=True)`` may follow.

    Args:
        workers: The most tasks at once. None: the CPUs this process may use.
        max_tasks: A worker is replaced after so many tasks. None: never.
        max_rss: A worker whose resident memory has grown by more than so many bytes since its start is
            replaced, between two tasks. None: never. Linux only; elsewhere nothing happens.
        start_method: ``"forkserver"`` (the default where it exists) or ``"spawn"``. Both load a script
            again in each worker, without what is under ``if __name__ == "__main__":``.
        stdout_to_stderr: What handlers print goes to standard error, since the output of the run goes to
            standard output.

    Raises:
        ConfigurationError: An option is out of range, or the start method does not exist here.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        max_tasks: int | None = None,
        max_rss: int | None = 300_000_000,
        start_method: Literal["forkserver", "spawn"] | None = None,
        stdout_to_stderr: bool = False,
    ) -> None:
        for name, value, otherwise in (
            ("workers", workers, "one per CPU"),
            ("max_tasks", max_tasks, "no end"),
            ("max_rss", max_rss, "no end"),
        ):
            if value is not None and value < 1:
                raise ConfigurationError(f"LocalPool({name}={value}): use 1 or more, or None for {otherwise}")
        self._size = workers or cpus()
        self._max_tasks = max_tasks
        self._max_rss = max_rss
        self._context = context_of(start_method, "LocalPool")
        self._options = MainOptions(stdout_to_stderr=stdout_to_stderr)
        self._workers: list[LocalProcess] = []
        self._waiting: deque[Held] = deque()
        self._events: list[Event] = []
        self._hello: bytes | None = None
        self._timeout: float | None = None
        self._failed_starts = 0
        self._last_failure = ""
        self._next_tick = 0.0

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        return self._size

    @property
    def room(self) -> int:
        """How many tasks it takes now without delay: those that run, and one ahead for each."""
        return max(0, 2 * self._size - self._count())

    def start(self, work: Work, *, timeout: float | None) -> None:
        """Start the workers; returns before they have started.

        Args:
            work: What they do. Pickled once.
            timeout: Seconds that one handler call may take; then its worker is killed. None: for ever.

        Raises:
            ConfigurationError: The work cannot be pickled, the timeout is not positive, or the pool runs.
        """
        if self._hello is not None:
            raise ConfigurationError("the LocalPool runs already: call stop() first")
        if timeout is not None and timeout <= 0:
            raise ConfigurationError(f"timeout={timeout}: use more than 0 seconds, or None for no end")
        self._hello = dump_work(work)
        self._timeout = timeout
        self._selector = selectors.DefaultSelector()
        # multiprocessing waits for its children when the interpreter ends; its own finalizers run before.
        self._finalizer = util.Finalize(self, _kill_all, args=(self._workers,), exitpriority=10)
        self._staff()

    def submit(self, task: Task) -> None:
        """Take *task*; it is answered by exactly one event of ``wait``. Never waits, whatever its size.

        A task beyond ``room`` waits here for its turn; that of the lowest chunk is the next.

        Raises:
            ConfigurationError: The pool does not run.
        """
        if self._hello is None:
            raise ConfigurationError("the LocalPool does not run: call start() before submit()")
        if not self._waiting:
            self._failed_starts = 0
        self._line_up(Held(task))
        self._staff()

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait until something happened, or *timeout* seconds; return what did, in any order.

        Returns at once if there is no task to wait for.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._staff()
            if self._events or not self._count():
                break
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            self._look(left)
            if left == 0.0:
                break
        events, self._events = self._events, []
        return events

    def stop(self, *, kill: bool = False) -> None:
        """End the workers and forget all tasks; *kill* does not wait for those that run. Idempotent.

        Without *kill*, tasks that run go to their end, within the timeout of ``start``, and runners are
        closed.
        """
        if self._hello is None:
            return
        self._hello = None
        try:
            for worker in self._workers if not kill else ():
                worker.begin_nothing()
                worker.dismiss(None)
            while self._workers and not kill:
                for worker in self._workers:
                    if worker.quit_by is None and not worker.is_running:
                        worker.quit_by = time.monotonic() + GRACE
                self._look(_TICK)
        finally:
            self._finalizer()
            self._selector.close()
            self._waiting.clear()
            self._events.clear()
            self._failed_starts = 0

    def __repr__(self) -> str:
        ready = sum(worker.is_ready for worker in self._workers)
        return (
            f"LocalPool(workers={self._size}) <{len(self._workers)} started, {ready} ready, "
            f"{self._count()} tasks, {len(self._waiting)} in line>"
        )

    def _count(self) -> int:
        return len(self._waiting) + sum(len(worker.held) for worker in self._workers)

    # Who does what.

    def _staff(self) -> None:
        """Start the workers that are missing, and hand out what waits."""
        if self._hello is None:
            return
        serving = [worker for worker in self._workers if not worker.is_retiring]
        while len(serving) < self._size:
            if self._failed_starts >= ATTEMPTS:
                if serving or not self._waiting:
                    break  # others show whether workers start at all; or nobody asks
                self._failed_starts = 0
                self._events.append(never_started(self._last_failure, self._waiting.popleft()))
            elif self._failed_starts and not self._waiting:
                break
            else:
                self._hire(self._hello, serving)
        if self._waiting:
            ready = [worker for worker in serving if worker.is_ready]
            loads = [len(worker.held) for worker in ready]
            for index in allot(len(self._waiting), loads, len(serving) - len(ready)):
                if not ready[index].is_retiring:  # its last task was the one before
                    self._give(ready[index])

    def _hire(self, hello: bytes, serving: list[LocalProcess]) -> None:
        try:
            worker = LocalProcess(self._context, hello, self._options)
        except OSError as error:
            self._failed_starts += 1
            self._last_failure = f"could not be started: {error}"
            return
        self._workers.append(worker)
        serving.append(worker)
        if sys.platform != "win32":  # a selector takes sockets only there; _inspect asks after the process
            self._selector.register(worker.sentinel, selectors.EVENT_READ, (worker, True))
        self._selector.register(worker.socket, _interest(worker), (worker, False))

    def _line_up(self, held: Held) -> None:
        """Put *held* in its place in the line, by its place in the input: results may wait for the first."""
        insort(self._waiting, held, key=lambda each: each.task.chunk.number)

    def _give(self, worker: LocalProcess) -> None:
        worker.give(self._waiting.popleft())
        if worker.given == self._max_tasks:
            worker.is_retiring = True
        if worker.has_outbox:
            self._watch(worker)

    # What comes in.

    def _look(self, longest: float | None) -> None:
        """Wait for the workers, *longest* seconds at most, and note what they did."""
        ended = []
        for key, mask in self._selector.select(self._pause(longest)):
            watched: _Watched = key.data
            worker, is_sentinel = watched
            if is_sentinel:
                ended.append(worker)
                continue
            if mask & selectors.EVENT_WRITE:
                worker.flush()
                self._watch(worker)
            if mask & selectors.EVENT_READ:
                self._read(worker)
        for worker in ended:
            self._bury(worker)
        self._inspect()

    def _pause(self, longest: float | None) -> float:
        """Return how long nothing can be due that no worker says."""
        now = time.monotonic()
        pause = self._next_tick - now if longest is None else min(longest, self._next_tick - now)
        if self._timeout is not None:
            for worker in self._workers:
                if worker.held:
                    note = worker.note()
                    left = note.remaining(self._timeout, time.monotonic_ns()) if note else self._timeout
                    pause = min(pause, left)
        return max(0.0, pause)

    def _read(self, worker: LocalProcess) -> None:
        try:
            for message in worker.receive():
                self._hear(worker, message)
        except TornFrame as error:
            self._selector.unregister(worker.socket)
            worker.has_hung_up = True
            worker.kill(Verdict(reason=f"was ended: {error}", answered=worker.answered))
            return
        if worker.has_hung_up:
            self._selector.unregister(worker.socket)
            worker.quit_by = worker.quit_by or time.monotonic() + _HANG_UP

    def _hear(self, worker: LocalProcess, message: Ready | Answer) -> None:
        worker.rss = message.rss
        if isinstance(message, Ready):
            worker.base_rss = message.rss
            return
        if not worker.held:
            raise TornFrame("a worker process answered what it was not asked")
        task = worker.held.popleft().task
        worker.answered += 1
        self._failed_starts = 0
        if message.result is not None:
            self._events.append(Finished(task=task, result=message.result))
        elif message.failure is not None:
            self._events.append(Broken(task=task, error=unpack(message.failure)))
        if self._max_rss is not None and message.rss - (worker.base_rss or 0) > self._max_rss:
            worker.is_retiring = True
        if worker.is_retiring and not worker.held and not worker.is_dismissed:
            worker.dismiss(time.monotonic() + GRACE)

    def _watch(self, worker: LocalProcess) -> None:
        if not worker.has_hung_up:
            self._selector.modify(worker.socket, _interest(worker), (worker, False))

    # Who has ended, and who must.

    def _inspect(self) -> None:
        now = time.monotonic()
        is_tick = now >= self._next_tick
        if is_tick:
            self._next_tick = now + _TICK
        for worker in list(self._workers):
            if worker.quit_by is not None and now >= worker.quit_by:
                worker.kill(Verdict(reason="closed its pipe, and was ended", answered=worker.answered))
            self._end_if_late(worker, now, is_tick=is_tick)
            if is_tick:
                worker.sample()
                if not worker.is_alive():
                    self._bury(worker)

    def _end_if_late(self, worker: LocalProcess, now: float, *, is_tick: bool) -> None:
        if self._timeout is None or worker.verdict is not None:
            return
        verdict = None
        if worker.is_running:
            verdict = overdue(worker.note(), self._timeout, time.monotonic_ns(), worker.answered)
        if verdict is None and is_tick:  # outside of a handler call nothing else would be overdue
            if not worker.is_stopped:
                worker.stopped_since = None
                return
            worker.stopped_since = worker.stopped_since or now
            verdict = frozen(now - worker.stopped_since, self._timeout, worker.answered)
        if verdict is not None:
            worker.kill(verdict)

    def _bury(self, worker: LocalProcess) -> None:
        """Take what a worker that has ended had still sent, and answer for what it had not."""
        try:
            for message in worker.receive(is_last=True):
                self._hear(worker, message)
        except TornFrame:
            pass  # what it sent in full is known; the rest is a task that it did not answer
        for watched in (worker.socket, worker.sentinel):
            if watched in self._selector.get_map():
                self._selector.unregister(watched)
        self._workers.remove(worker)
        death = worker.reap()
        if worker.held:
            died = blame(death, worker.held[0])
            if died is not None:
                worker.held.popleft()
                self._events.append(died)
        elif not death.taken and not worker.is_dismissed:
            self._failed_starts += 1
            self._last_failure = death.end
        for held in worker.held:
            self._line_up(held)


def _interest(worker: LocalProcess) -> int:
    return selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.has_outbox else 0)


def _kill_all(workers: list[LocalProcess]) -> None:
    for worker in workers:
        worker.kill()
    while workers:
        workers.pop().reap()
