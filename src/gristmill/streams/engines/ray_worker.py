"""One Ray actor of a stream as the driver sees it, and the tasks it has."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from typing import Any

from gristmill.streams.chunk import Task
from gristmill.streams.engines import mark_file
from gristmill.streams.engines.mark_file import Note
from gristmill.streams.engines.ray_actor import Opened

_SOON = 0.01
"""Seconds between two looks at a worker, at the least."""
_INLINE = 100_000
"""Bytes of a body that travel with the call; more go to the object store, once for all actors."""


class Errand:
    """A task on its way.

    Attributes:
        serial: Its number; a task that is sent again keeps it.
        task: As the driver gave it.
        reference: Of the answer, from the actor that has it.
        losses: How many actors died that had it.
    """

    __slots__ = ("_body", "_sent", "losses", "reference", "serial", "task")

    def __init__(self, ray: Any, serial: int, task: Task) -> None:
        self.serial = serial
        self.task = task
        self.reference: Any = None
        self.losses = 0
        body = task.chunk.body
        self._body: Any = ray.put(body) if body is not None and len(body) > _INLINE else body
        self._sent = task if body is None else replace(task, chunk=replace(task.chunk, body=None))

    def send(self, actor: Any) -> None:
        """Give it to *actor*."""
        self.reference = actor.run.remote(self.serial, self._sent, self._body)


class RayWorker:
    """One actor.

    Attributes:
        actor: Its handle.
        errands: What it has: the first runs, the second is ahead.
        opening: Reference of its start; None once it is open.
        closing: Reference of its end, if it was asked to end.
        inquest: Reference of its note, if that is on another node and was asked for.
        look_at: When, on the clock of the driver, its handler call may have taken too long.
        reason: What it died of.
        is_timeout: Whether it was killed for its slowness.
    """

    def __init__(self, ray: Any, actor: Any, packed: Any) -> None:
        self._ray = ray
        self.actor = actor
        self._opened: Opened | None = None
        self.errands: deque[Errand] = deque()
        self._name = mark_file.new_name()
        self.opening: Any = actor.open.remote(self._name, packed)
        self.closing: Any = None
        self.inquest: Any = None
        self.look_at = inf
        self.reason = ""
        self.is_timeout = False

    @property
    def is_open(self) -> bool:
        """Whether it takes tasks."""
        return self.opening is None

    @property
    def pid(self) -> int | None:
        """Its process."""
        return None if self._opened is None else self._opened.pid

    @property
    def awaited(self) -> Iterator[Any]:
        """The references that tell something new."""
        if self.opening is not None:
            yield self.opening
        elif self.inquest is not None:
            yield self.inquest
        elif self.closing is not None:
            yield self.closing
        elif self.errands:
            yield self.errands[0].reference

    def take(self, errand: Errand, timeout: float | None) -> None:
        """Give it *errand*."""
        if not self.errands and timeout is not None:
            self.look_at = time.monotonic() + timeout
        self.errands.append(errand)
        errand.send(self.actor)

    def hear_opening(self) -> None:
        """Note where it is; raises what its start raised."""
        self._opened = self._ray.get(self.opening)
        self.opening = None

    def look(self, home: str) -> Note | None:
        """Return its note, or ask its node and set ``inquest``."""
        self.look_at = inf
        return self._ask(home, mark_file.read)

    def look_again(self, timeout: float, note: Note | None) -> None:
        """Look again when the handler call that is under way will have taken too long."""
        if not self.errands:
            return  # the next task says when
        seconds = note.seconds if note is not None and note.mark is not None else 0.0
        self.look_at = time.monotonic() + max(_SOON, timeout - seconds)

    def ask(self, home: str) -> Note | None:
        """Return the last note of a dead worker and remove it, or ask its node and set ``inquest``."""
        return self._ask(home, mark_file.take)

    def hear_inquest(self) -> Note | None:
        """Return the note that its node found; None if the node is gone."""
        reference, self.inquest = self.inquest, None
        try:
            note: Note | None = self._ray.get(reference)
        except self._ray.exceptions.RayError:
            return None
        return note

    def clean_up(self, home: str) -> Any:
        """Remove the mark file of a worker that was killed; return a reference if another node does it."""
        if self._opened is None:  # killed while it started, and nobody knows where: here, most likely
            mark_file.remove(mark_file.path_of(self._name))
            return None
        reference, self.inquest = self.inquest, None
        self._ask(home, mark_file.take)
        removal, self.inquest = self.inquest, reference
        return removal

    def close(self) -> None:
        """Ask it to end after its tasks; one that has not started is only killed."""
        if self.is_open:
            self.closing = self.actor.close.remote()

    def has_closed(self) -> bool:
        """Tell whether it ended as it was asked to; blocks if ``closing`` is not ready."""
        try:
            self._ray.get(self.closing)
        except self._ray.exceptions.RayError:
            return False
        return True

    def kill(self) -> None:
        """End it now."""
        self._ray.kill(self.actor)
        self.look_at = inf

    def _ask(self, home: str, how: Callable[[str], Note | None]) -> Note | None:
        opened = self._opened
        if opened is None:
            return None
        if opened.node == home:
            return how(opened.path)
        strategies = self._ray.util.scheduling_strategies
        there = strategies.NodeAffinitySchedulingStrategy(opened.node, soft=False)
        # It asks for no CPU: all may be taken by the actors.
        asked = self._ray.remote(how).options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        self.inquest = asked.remote(opened.path)
        return None
