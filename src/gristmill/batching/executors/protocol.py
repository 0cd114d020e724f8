"""What the runner asks of an executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Function: TypeAlias = Callable[..., Any]


class Executor(Protocol):
    """Runs one handler call at a time per slot.

    An executor belongs to no event loop: several loops, one after the other
    or at once in several threads, may use it, and several handlers may share
    it.
    """

    @property
    def slots(self) -> int | None:
        """How many batches run at once unless the handler says otherwise; None: the handler's default."""

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Call ``function(*args)`` there and return what it returned, or raise what it raised.

        An ``async def`` function is awaited to its end.

        Raises:
            WorkerDied: The process that ran it is gone.

        Cancellation returns at once: a process is killed and replaced, a
        thread is abandoned (it can not be stopped) and replaced.
        """

    def close(self) -> None:
        """Let go of idle workers and stop the busy ones; a later ``run`` starts anew. Idempotent."""
