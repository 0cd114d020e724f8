"""The requests of the shortcut, in the place of uvicorn's request-response cycle.

One that waits for its item needs no future: it is the batcher's waiter itself.
One that waits for a batch is a task.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

from gristmill.batching.batcher import Batcher
from gristmill.batching.context import BatchInfo
from gristmill.http.asgi import internal_error
from gristmill.http.endpoints import SingleEndpoint
from gristmill.http.problems import Reply


class Runway(Protocol):
    """The connection a flight came in on, where it also lands."""

    def land(self, flight: Flight, value: Any, error: Exception | None) -> None:
        """Answer the caller of *flight* with *value*, or with the problem that *error* is."""

    def write(self, endpoint: SingleEndpoint, reply: Reply, *, keep_alive: bool) -> None:
        """Send *reply*."""


class Flight:
    """A request of the shortcut: it waits for its item, and stands in uvicorn's request-response cycle.

    It is the item's waiter, so no future is made for it. uvicorn looks at its
    other attributes to queue pipelined requests behind it, to close the
    connection after it, and to tell it that the caller hung up.

    Attributes:
        endpoint: Where it is going.
        response_complete: Whether its caller is answered.
        keep_alive: Whether the connection stays open after it.
        disconnected: Whether the caller hung up.
    """

    __slots__ = (
        "_batcher", "_called", "_is_cancelled", "_runway", "disconnected", "endpoint", "keep_alive",
        "response_complete",
    )  # fmt: skip

    def __init__(self, runway: Runway, endpoint: SingleEndpoint) -> None:
        self.endpoint = endpoint
        self.response_complete = False
        self.keep_alive = True
        self.disconnected = False
        self._runway = runway
        self._is_cancelled = False
        self._batcher: Batcher
        self._called: float

    def enter(self, item: Any) -> Flight:
        """Wait for the answer to *item*; raises as a call of the handler does."""
        batcher = self._batcher = self.endpoint.admit(item, self)
        self._called = batcher.clock()
        return self

    def batch(self) -> tuple[BatchInfo | None, float]:
        """Return the batch that is being answered, and the seconds the item waited for it.

        (None, 0) when no handler call saw the item.
        """
        batch = self._batcher.settling
        if batch is None or not batch.number:
            return None, 0.0
        return batch.info(self._batcher.recipe.prefix), max(0.0, batch.started - self._called)

    # -- a waiter

    def done(self) -> bool:
        """Tell whether it needs no answer any more."""
        return self.response_complete or self._is_cancelled

    def cancelled(self) -> bool:
        """Tell whether the caller hung up before the answer."""
        return self._is_cancelled

    def set_result(self, result: Any, /) -> None:
        """Answer the caller with *result*."""
        self._end(result, None)

    def set_exception(self, exception: Exception, /) -> None:
        """Answer the caller with the problem that *exception* is."""
        self._end(None, exception)

    def _end(self, value: Any, error: Exception | None) -> None:
        if self.response_complete or self._is_cancelled:
            raise asyncio.InvalidStateError
        self.response_complete = True
        try:
            self._runway.land(self, value, error)
        except Exception as broken:  # noqa: BLE001 - the last resort: logged, and told without its text
            # Whatever went wrong, the other waiters of the batch must have their answers.
            reply = internal_error(broken)
            with contextlib.suppress(Exception):  # logged above; the connection may be what is broken
                self._runway.write(self.endpoint, reply, keep_alive=False)

    # -- a cycle

    @property
    def message_event(self) -> Flight:
        """What is set when the connection is lost."""
        return self

    def set(self) -> None:
        """Drop the item of a caller who hung up."""
        if self.disconnected and not self.response_complete:
            self._is_cancelled = True


class BatchFlight:
    """A request of the shortcut for a whole batch: its task, and uvicorn's cycle.

    Attributes:
        task: Answers it; set once, where it begins.
        response_complete, keep_alive, disconnected: As ``Flight`` has them.
    """

    __slots__ = ("disconnected", "keep_alive", "response_complete", "task")

    def __init__(self) -> None:
        self.response_complete = False
        self.keep_alive = True
        self.disconnected = False
        self.task: asyncio.Task[None]

    @property
    def message_event(self) -> BatchFlight:
        """What is set when the connection is lost."""
        return self

    def set(self) -> None:
        """Drop the items of a caller who hung up, as far as their batches have not begun."""
        if self.disconnected and not self.response_complete:
            self.task.cancel()
