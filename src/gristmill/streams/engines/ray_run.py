"""One run of a stream on Ray: which actor has which task, and what became of it."""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from math import inf
from typing import Any

from gristmill.batching.executors.ray_connection import cause_of, reason_of, shortage
from gristmill.batching.executors.remote_error import RemoteFailure, unpack
from gristmill.errors import WorkerDied
from gristmill.streams.chunk import Result, Task
from gristmill.streams.engines.mark_file import Note
from gristmill.streams.engines.protocol import Broken, Died, Event, Finished
from gristmill.streams.engines.ray_actor import StreamActor
from gristmill.streams.engines.ray_worker import Errand, RayWorker

_log = logging.getLogger("gristmill.streams")

_STARTS = 3
"""Workers that may die while they start, one after the other, before the tasks are given up."""
_LOSSES = 3
"""Workers that may die under a task before it began, before it is given up."""
_FAREWELL = 2.0
"""Seconds at the end for killed actors to go, and for other nodes to remove mark files."""


class RayRun:
    """The actors of one run, and the tasks.

    Args:
        ray: The module, connected.
        packed: The work, as ``pack_work`` packs it.
        workers: The most actors.
        options: ``num_cpus`` and ``num_gpus`` of each.
        timeout: Seconds of a handler call; None: for ever.
        patience: Seconds without any actor after which the log says what they wait for.

    Attributes:
        outstanding: Tasks that were submitted and not answered.
        workers: The actors that are not known to be dead.
        home: The node of this process.
    """

    def __init__(
        self,
        ray: Any,
        packed: tuple[bytes, bytes],
        *,
        workers: int,
        options: dict[str, float],
        timeout: float | None,
        patience: float,
    ) -> None:
        self.outstanding = 0
        self._ray = ray
        self._packed = ray.put(packed)
        self.home = str(ray.get_runtime_context().get_node_id())
        self._limit = workers
        self._options = options
        self._timeout = timeout
        self._patience = patience
        self._waiting_since = time.monotonic()
        self._serials = itertools.count(1)
        self._queue: deque[Errand] = deque()
        self.workers: list[RayWorker] = []
        self._dying: list[RayWorker] = []  # dead, and their nodes asked what they died of
        self._failed_starts = 0
        self._last_start_failure = ""
        self._staff()

    def submit(self, task: Task) -> None:
        """Take *task*."""
        self.outstanding += 1
        self._queue.append(Errand(self._ray, next(self._serials), task))
        self._assign()

    def wait(self, timeout: float | None) -> Sequence[Event]:
        """Wait until a task is answered, or *timeout* seconds."""
        until = inf if timeout is None else time.monotonic() + timeout
        events: list[Event] = []
        while self.outstanding:
            self._staff()
            events += self._give_up()
            self._assign()
            left = max(0.0, until - time.monotonic())
            for reference in self._ready(0.0 if events else left):
                events += self._hear(reference)
            events += self._end_slow()
            self._complain()
            if events or not left:
                break
        self.outstanding -= len(events)
        self._staff()
        self._assign()
        return events

    def end(self, *, kill: bool) -> None:
        """End the actors, after their tasks unless *kill*; forget the tasks."""
        self._queue.clear()
        if not kill:
            self._see_off()
        opened = [worker for worker in self.workers if worker.is_open]
        others = [worker for worker in self.workers if not worker.is_open]
        for worker in opened + others:
            self._remove(worker)
        farewells = [worker.opening for worker in others]  # one that is starting may still make its file
        farewells += [done for worker in opened if (done := worker.clean_up(self.home)) is not None]
        if farewells:
            self._ray.wait(farewells, num_returns=len(farewells), timeout=_FAREWELL)
        for worker in others:
            worker.clean_up(self.home)

    def __repr__(self) -> str:
        return f"{sum(worker.is_open for worker in self.workers)} started, {self.outstanding} tasks"

    # What there is to do: workers for places, tasks for workers.

    def _staff(self) -> None:
        while len(self.workers) < self._limit and self._failed_starts < _STARTS:
            actor = (
                self._ray.remote(StreamActor)
                .options(max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD", **self._options)
                .remote()
            )
            self.workers.append(RayWorker(self._ray, actor, self._packed))

    def _assign(self) -> None:
        kept = 0  # those that have nothing to do come first
        for ahead in (0, 1):
            for worker in self.workers:
                if len(self._queue) > kept and worker.is_open and len(worker.errands) == ahead:
                    worker.take(self._queue.popleft(), self._timeout)
            # Nobody gets one ahead that a worker about to open could run at once.
            kept = sum(not worker.is_open for worker in self.workers)

    def _give_up(self) -> Iterator[Event]:
        if self._failed_starts < _STARTS or self.workers:
            return
        while self._queue:
            yield Broken(
                task=self._queue.popleft().task,
                error=WorkerDied(
                    f"{self._failed_starts} Ray actors in a row ended while they started; "
                    f"the last one {self._last_start_failure}"
                ),
            )
        self._failed_starts = 0

    # What happened.

    def _ready(self, left: float) -> list[Any]:
        references = [ref for worker in self.workers + self._dying for ref in worker.awaited]
        if not references:
            return []
        now = time.monotonic()
        seconds = min([left, *(worker.look_at - now for worker in self.workers)])
        if self._is_waiting_for_a_place:
            seconds = min(seconds, self._waiting_since + self._patience - now)
        ready, others = self._ray.wait(
            references, timeout=None if seconds == inf else max(0.0, seconds), fetch_local=False
        )
        if ready and others:  # the others that are there too
            ready += self._ray.wait(others, num_returns=len(others), timeout=0, fetch_local=False)[0]
        return list(ready)

    def _hear(self, reference: Any) -> Iterator[Event]:
        for worker in self._dying + self.workers:
            if reference not in worker.awaited:
                continue
            if worker.opening is not None:
                self._hear_opening(worker)
            elif worker.reason:
                self._dying.remove(worker)
                yield from self._bury(worker, worker.hear_inquest())
            elif worker.inquest is not None:
                yield from self._judge(worker, worker.hear_inquest())
            elif worker.closing is not None:
                self._remove(worker)
                if not worker.has_closed():
                    worker.clean_up(self.home)
            else:
                yield from self._hear_answer(worker)
            return

    def _hear_opening(self, worker: RayWorker) -> None:
        try:
            worker.hear_opening()
        except self._ray.exceptions.RayError as error:
            self._remove(worker)
            worker.clean_up(self.home)
            self._failed_starts += 1
            self._last_start_failure = reason_of(error)
        else:
            self._failed_starts = 0

    def _hear_answer(self, worker: RayWorker) -> Iterator[Event]:
        errand = worker.errands[0]
        try:
            answer = self._ray.get(errand.reference)
        except self._ray.exceptions.RayTaskError as error:  # it could not be sent, or not be read
            worker.errands.popleft()
            yield Broken(task=errand.task, error=cause_of(error))
        except (
            self._ray.exceptions.ObjectLostError
        ) as error:  # with the node that held it; the actor is no wiser
            worker.errands.popleft()
            yield from self._again(errand, reason_of(error))
        except self._ray.exceptions.RayError as error:
            reason = f"worker process {worker.pid} {reason_of(error)}"
            yield from self._examine(worker, reason, is_timeout=False)
        else:
            worker.errands.popleft()
            yield _event(errand.task, answer)

    def _end_slow(self) -> Iterator[Event]:
        now = time.monotonic()
        for worker in [worker for worker in self.workers if worker.look_at <= now]:
            note = worker.look(self.home)
            if worker.inquest is None:  # else the note comes later
                yield from self._judge(worker, note)

    def _judge(self, worker: RayWorker, note: Note | None) -> Iterator[Event]:
        """Kill *worker* if its handler call has taken too long; else say when to look again."""
        timeout = self._timeout or 0.0
        if note is not None and note.mark is not None and note.seconds >= timeout:
            reason = f"worker process {worker.pid} was killed: the handler took longer than {timeout:g} s"
            yield from self._examine(worker, reason, is_timeout=True, note=note)
        else:
            worker.look_again(timeout, note)

    def _examine(
        self, worker: RayWorker, reason: str, *, is_timeout: bool, note: Note | None = None
    ) -> Iterator[Event]:
        """Take a dead worker away, and find out what it died of: now, or when its node answers."""
        self._remove(worker)
        self._failed_starts = 0  # those of others, long ago
        worker.reason, worker.is_timeout = reason, is_timeout
        if note is not None:
            worker.clean_up(self.home)
            yield from self._bury(worker, note)
            return
        note = worker.ask(self.home)
        if worker.inquest is None:
            yield from self._bury(worker, note)
        else:
            self._dying.append(worker)

    def _bury(self, worker: RayWorker, note: Note | None) -> Iterator[Event]:
        """Blame the task that *worker* had begun; the others run again."""
        errands, worker.errands = worker.errands, deque()
        guilty = next((errand for errand in errands if note and errand.serial == note.serial), None)
        if guilty is None and note is None and errands:
            guilty = errands[0]  # nobody can tell, and it was the first in line
        for errand in reversed(errands):
            if errand is guilty:
                mark = None if note is None else note.mark
                yield Died(task=errand.task, reason=worker.reason, is_timeout=worker.is_timeout, mark=mark)
            else:
                yield from self._again(errand, worker.reason)

    def _again(self, errand: Errand, reason: str) -> Iterator[Event]:
        """Put *errand* in front of the queue, unless it was lost too often to be without fault."""
        errand.losses += 1
        if errand.losses >= _LOSSES:
            yield Died(task=errand.task, reason=reason, is_timeout=False, mark=None)
        else:
            self._queue.appendleft(errand)

    def _remove(self, worker: RayWorker) -> None:
        self.workers.remove(worker)
        worker.kill()

    def _see_off(self) -> None:
        """Wait until all actors have closed; those whose handler takes too long are killed."""
        for worker in self.workers:
            worker.close()
        while any(worker.closing is not None for worker in self.workers):
            for reference in self._ready(inf):
                deque(self._hear(reference), maxlen=0)
            deque(self._end_slow(), maxlen=0)

    # What people should know.

    @property
    def _is_waiting_for_a_place(self) -> bool:
        return bool(self.workers) and not any(worker.is_open for worker in self.workers)

    def _complain(self) -> None:
        now = time.monotonic()
        is_late = self._is_waiting_for_a_place and now >= self._waiting_since + self._patience
        if is_late:
            _log.warning("0 of %d workers started: %s", self._limit, shortage(self._ray, self._options))
        if is_late or not self._is_waiting_for_a_place:
            self._waiting_since = now


def _event(task: Task, answer: Result | RemoteFailure) -> Event:
    if isinstance(answer, RemoteFailure):
        return Broken(task=task, error=unpack(answer))
    answer.body = bytes(answer.body)  # a view would keep it in Ray's object store until it is written
    return Finished(task=task, result=answer)
