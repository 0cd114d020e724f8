"""One list of items as one batch of its own: how the queue runs what it has claimed.

No buffer and no company: the queue has formed the batch already, and its
items must not meet those of other callers, whose fate would hang on its lease.
"""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill.batching.batch import Batch
from gristmill.batching.batcher import loop_clock
from gristmill.batching.frame import Frame, current_frame
from gristmill.batching.recipe import Recipe
from gristmill.batching.reply import Settled, all_failed, whole_batch
from gristmill.batching.runner import Runner
from gristmill.errors import DeadlineExceeded
from gristmill.model.flush import FlushReason


class Direct:
    """Runs batches of one handler on one event loop, past its buffer.

    Args:
        recipe: The handler.
        loop: The running loop.
        bisect: Whether a batch that raised is re-run in halves; the handler's own setting by default.
    """

    def __init__(
        self, recipe: Recipe, loop: asyncio.AbstractEventLoop, *, bisect: bool | None = None
    ) -> None:
        self._recipe = recipe
        self._loop = loop
        self._clock = loop_clock(loop)
        limits = recipe.limits
        self._runner = Runner(
            recipe.call,
            recipe.ledger,
            recipe.observe,
            self._clock,
            bisect=limits.on_error == "bisect" if bisect is None else bisect,
            timeout=limits.timeout,
            prefix=recipe.prefix,
        )

    async def run(self, items: list[Any], *, attempt: int = 1, transaction: Any = None) -> Settled:
        """Return the answer to each of *items*, in their order.

        Args:
            items: Handed to the handler as one batch, duplicates included.
            attempt: What the handler's context says.
            transaction: What the handler's context says.

        Raises:
            asyncio.CancelledError: The caller was cancelled; the handler is, too.
        """
        batch = Batch(FlushReason.QUEUE)
        batch.items = items
        batch.attempt = attempt
        batch.transaction = transaction
        batch.is_full = len(items) >= self._recipe.cap
        batch.started = self._clock()
        batch.number = self._recipe.next_number()
        self._recipe.ledger.flushes[batch.reason.value] += 1
        task = self._loop.create_task(self._run(batch), context=self._recipe.neutral_context())
        settled = await task
        items_counts = self._recipe.ledger.items
        items_counts["failed"] += len(settled.errors)
        items_counts["ok"] += len(items) - len(settled.errors)
        if settled.fatal is not None:
            raise settled.fatal
        return settled

    async def _run(self, batch: Batch) -> Settled:
        frame = Frame(self._recipe, set(), 1)
        current_frame.set(frame)
        timeout = self._recipe.limits.timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._runner.run(batch)
        except TimeoutError:
            error = DeadlineExceeded(
                f"{self._recipe.name} gave no answer within its timeout of {timeout:g} s"
            )
            return all_failed(error, len(batch))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return all_failed(whole_batch(self._recipe.name, error), len(batch))
        finally:
            frame.is_over = True
