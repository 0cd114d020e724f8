"""What a handler, and a caller that asks, may know of a batch."""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gristmill.model.flush import FlushReason


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchContext:
    """The second parameter of a handler that has one: ``def handler(items, ctx)``.

    Attributes:
        name: The handler's name.
        batch_id: Unique in this process; also the ``Batch-Id`` header.
        attempt: 1 for the first try, 2 for the first retry.
        deadline: When the first item's ``timeout`` ends, on the clock of the
            event loop (``loop.time()``, which is ``time.monotonic()`` unless
            the loop keeps its own); None without ``timeout``.
        reason: Why the batch left the buffer.
        contexts: The caller's ``contextvars`` of each item, in the order of
            the items: trace ids and the like. The handler itself runs in a
            neutral context. A process worker gets none.
        transaction: The connection in which the batch will be settled, where
            the way in has one; else None.
    """

    name: str
    batch_id: str
    attempt: int
    deadline: float | None
    reason: FlushReason
    contexts: Sequence[contextvars.Context] = ()
    transaction: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what only this one can hold."""
        state = {f: getattr(self, f) for f in ("name", "batch_id", "attempt", "deadline", "reason")}
        return (_from_state, (state,))

    def part(self, contexts: Sequence[contextvars.Context]) -> BatchContext:
        """Return the same context for some of the batch's items."""
        return replace(self, contexts=contexts)


def _from_state(state: dict[str, Any]) -> BatchContext:
    return BatchContext(**state)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchInfo:
    """The batch that answered a ``Ticket``; all tickets of a batch have the same.

    Attributes:
        id: Unique in this process.
        size: Items in the batch.
        handler_seconds: From the start of the handler to the answer.
    """

    id: str
    size: int
    handler_seconds: float
