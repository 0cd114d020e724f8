"""A call that can tell, once answered, which batch answered it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from gristmill.batching.batch import Batch
from gristmill.batching.batcher import Batcher
from gristmill.batching.context import BatchInfo

R = TypeVar("R")


class Ticket(asyncio.Future[R]):
    """The future of one item, with its batch."""

    # No __init__: it would cost more than the rest of a call. ``Ticket.of`` fills these in.
    _batcher: Batcher
    _called: float
    _batch: Batch | None = None

    @classmethod
    def of(cls, batcher: Batcher) -> Ticket[R]:
        """Return a ticket for an item of *batcher*."""
        ticket: Ticket[R] = cls(loop=batcher.loop)
        ticket._batcher = batcher
        ticket._called = batcher.clock()
        return ticket

    @property
    def batch(self) -> BatchInfo | None:
        """The batch that answered; None before the answer, and for an item that no handler call saw."""
        batch = self._batch
        return None if batch is None or not batch.number else batch.info(self._batcher.recipe.prefix)

    @property
    def queue_seconds(self) -> float:
        """Seconds from the call to the start of its batch; 0 while ``batch`` is None."""
        return 0.0 if self._batch is None else max(0.0, self._batch.started - self._called)

    def set_result(self, result: R, /) -> None:
        """Note the batch, and answer."""
        self._batch = self._batcher.settling
        super().set_result(result)

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Note the batch, and fail."""
        self._batch = self._batcher.settling
        super().set_exception(exception)
