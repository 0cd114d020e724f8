"""What the driver asks of an engine, and an engine of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gristmill.streams.chunk import Result, Task


class Marker(Protocol):
    """Where a worker notes what it is about to do, so that whoever finds it dead knows."""

    def running(self, first: int, stop: int) -> None:
        """Note that the rows [first, stop) of the chunk go to the handler now."""

    def idle(self) -> None:
        """Note that no handler runs."""


class Runner(Protocol):
    """Runs chunks in a worker, one after the other."""

    def run(self, task: Task, marker: Marker) -> Result:
        """Run *task*.

        Raises:
            Exception: It cannot be run here or anywhere (a file that is not what it should be, a handler
                that cannot be loaded); it reaches the driver as ``Broken``. The worker lives on.
        """

    def close(self) -> None:
        """Let go of what it holds."""


class Work(Protocol):
    """What every worker is given once, when it starts. Picklable."""

    def start(self) -> Runner:
        """Make the runner, in the worker. An exception reaches the driver as ``Broken``, for each task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a worker had noted when it died: the rows [first, stop) were with the handler."""

    first: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task ran."""

    task: Task
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """The worker died while it ran the task, or was ended because it took too long. No other task is lost.

    Attributes:
        task: Which.
        reason: For people: ``was killed by SIGKILL (out of memory?) at 812 MB``.
        is_timeout: The engine ended it, because it took too long.
        mark: What was with the handler; None if nothing was, or the engine cannot tell.
    """

    task: Task
    reason: str
    is_timeout: bool
    mark: Mark | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The task raised; running it again would raise again.

    ``error`` is what it raised, or a ``RemoteError`` where that cannot travel.
    """

    task: Task
    error: BaseException


Event: TypeAlias = Finished | Died | Broken


class Engine(Protocol):
    """Runs tasks in workers. Used from one thread."""

    @property
    def workers(self) -> int:
        """How many tasks run at once."""

    @property
    def room(self) -> int:
        """How many tasks it takes now without delay: those that run, and one ahead for each."""

    def start(self, work: Work, *, timeout: float | None) -> None:
        """Start the workers.

        Args:
            work: What they do.
            timeout: Seconds that one handler call may take; then its worker is ended. None: for ever.
        """

    def submit(self, task: Task) -> None:
        """Take *task*; it is answered by exactly one event of ``wait``."""

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait until something happened, or *timeout* seconds; return what did, in any order.

        Returns at once, with nothing, if there is no task to wait for.
        """

    def stop(self, *, kill: bool = False) -> None:
        """End the workers and forget all tasks; *kill* does not wait for those under way. Idempotent.

        Without *kill* a task under way goes to its end, but nobody is told of it; the runners are closed.
        """
