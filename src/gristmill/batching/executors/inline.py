"""Run a batch where it was dispatched: on the event loop."""

from __future__ import annotations

import inspect
from typing import Any

from gristmill.batching.executors.protocol import Function


class Inline:
    """Runs a batch on the event loop that dispatched it.

    An ``async def`` function is awaited; a plain ``def`` is called as it is,
    so the loop stands still until it returns: right for a handler that only
    computes for microseconds, wrong for one that waits.
    """

    @property
    def slots(self) -> int | None:
        """None: the handler's own default holds."""
        return None

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Call ``function(*args)`` here and await what it returned if that is an awaitable.

        Cancellation reaches the function as it would in any task.
        """
        result = function(*args)
        if inspect.isawaitable(result):
            return await result
        return result

    def close(self) -> None:
        """Nothing to let go of."""

    def __repr__(self) -> str:
        return "Inline()"
