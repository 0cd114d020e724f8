"""A call that can tell, once answered, which batch answered it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from gristmill.batching.batcher import Batcher
from gristmill.batching.context import BatchInfo

R = TypeVar("R")


class Ticket(asyncio.Future[R]):
    """The future of one item, with its batch.

    Attributes:
        batch: The batch that answered; None while there is no answer, and
            for an item that no handler call saw.
    """

    def __init__(self, batcher: Batcher) -> None:
        super().__init__(loop=batcher.loop)
        self.batch: BatchInfo | None = None
        self._batcher = batcher
        self._called = batcher.clock()

    def set_result(self, result: R, /) -> None:
        """Note the batch, and answer."""
        self._note()
        super().set_result(result)

    def set_exception(self, exception: type | BaseException, /) -> None:
        """Note the batch, and fail."""
        self._note()
        super().set_exception(exception)

    def _note(self) -> None:
        batch = self._batcher.settling
        if batch is None or not batch.number:
            return
        now: Any = self._batcher.clock()
        self.batch = BatchInfo(
            id=f"{self._batcher.recipe.prefix}-{batch.number}",
            size=len(batch),
            queue_seconds=max(0.0, batch.started - self._called),
            handler_seconds=max(0.0, now - batch.started),
        )
