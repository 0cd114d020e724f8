"""Run one batch: call the handler, pair its reply, find the poison items.

What comes out is always one answer for each item; only what is meant for the
whole process (a cancel, an exit) is raised.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gristmill.batching.batch import Batch
from gristmill.batching.context import BatchContext
from gristmill.batching.executors.protocol import Executor
from gristmill.batching.ledger import Ledger
from gristmill.batching.reply import Settled, all_failed, another, pair, whole_batch
from gristmill.errors import ReplyMismatch

logger = logging.getLogger("gristmill.batching")

# Halving a batch helps against a poison item, not against what would fail every half alike.
_NOT_BISECTED = (ConnectionError, MemoryError, ReplyMismatch)

Observe = Callable[[int, float, bool, str | None], None]


class Call:
    """How the handler is called: its function, where it runs, and whether it takes a context."""

    __slots__ = ("_executor", "function", "name", "takes_context")

    def __init__(
        self, name: str, function: Callable[..., Any], executor: Executor | None, *, takes_context: bool
    ) -> None:
        self.name = name
        self.function = function
        self.takes_context = takes_context
        self._executor = executor  # None awaits the function right here

    def __call__(self, items: list[Any], context: BatchContext | None) -> Awaitable[Any]:
        """Return what the handler returns, once it is awaited."""
        args = (items,) if context is None else (items, context)
        if self._executor is None:
            awaitable: Awaitable[Any] = self.function(*args)
            return awaitable
        return self._executor.run(self.function, args)


class Runner:
    """Runs the batches of one event loop.

    Args:
        call: The handler.
        ledger: Where calls are counted.
        observe: Told the size and seconds of each call, whether its batch was
            full, and the code of its failure.
        clock: The loop's.
        bisect: Whether a batch that raised is re-run in halves.
        timeout: Of an item, in seconds; for the context's deadline.
        prefix: What batch ids begin with.
    """

    def __init__(
        self,
        call: Call,
        ledger: Ledger,
        observe: Observe,
        clock: Callable[[], float],
        *,
        bisect: bool,
        timeout: float | None,
        prefix: str,
    ) -> None:
        self._call = call
        self._ledger = ledger
        self._observe = observe
        self._clock = clock
        self._bisect = bisect
        self._timeout = timeout
        self._prefix = prefix

    def run(self, batch: Batch) -> Awaitable[Settled]:
        """Return an answer for each of the batch's items, in their order, once it is awaited.

        Raises:
            BaseException: A cancel or an exit, from the handler or around it.
        """
        if batch.idents is None:
            return self._run(batch, batch.items, batch.contexts)
        return self._run_once_each(batch, batch.idents)

    async def _run_once_each(self, batch: Batch, idents: Sequence[Any]) -> Settled:
        known: dict[Any, int] = {}
        firsts: list[int] = []
        source: list[int] = []  # of each item, which of the firsts stands for it
        for index, ident in enumerate(idents):
            try:
                place = known.setdefault(ident, len(firsts))
            except Exception:  # noqa: BLE001 - what cannot be compared is the same as nothing else
                place = len(firsts)
            if place == len(firsts):
                firsts.append(index)
            source.append(place)
        items = [batch.items[i] for i in firsts]
        contexts = [batch.contexts[i] for i in firsts] if batch.contexts else []
        settled = await self._run(batch, items, contexts)
        return _spread(settled, source)

    async def _run(self, batch: Batch, items: list[Any], contexts: Sequence[contextvars.Context]) -> Settled:
        context = self._context(batch, contexts) if self._call.takes_context else None
        try:
            return await self._once(batch, items, context, is_full=batch.is_full)
        except Exception as error:  # noqa: BLE001 - every waiter gets it, and it is logged
            self._log(batch, error)
            if not self._bisect or len(items) == 1 or isinstance(error, _NOT_BISECTED):
                return all_failed(whole_batch(self._call.name, error), len(items))
        return await self._halves(batch, items, context)

    async def _once(
        self, batch: Batch, items: list[Any], context: BatchContext | None, *, is_full: bool = False
    ) -> Settled:
        code: str | None = "cancelled"
        began = self._clock()
        try:
            # A copy: the handler may sort or empty the list it is given.
            reply = await self._call(items.copy(), context)
            settled = pair(self._call.name, items, reply)
            code = None
            return settled
        except Exception as error:
            code = whole_batch(self._call.name, error).code
            raise
        finally:
            if not batch.is_abandoned:
                seconds = self._clock() - began
                self._ledger.ended(len(items), seconds, code)
                self._observe(len(items), seconds, is_full, code)

    async def _halves(self, batch: Batch, items: list[Any], context: BatchContext | None) -> Settled:
        """Re-run halves until each poison item stands alone: O(k log n) calls for k of them."""
        values: list[Any] = [None] * len(items)
        errors: dict[int, Exception] = {}
        fatal: BaseException | None = None
        middle = len(items) // 2
        waiting = [(middle, len(items)), (0, middle)]
        while waiting and not batch.is_abandoned:
            start, stop = waiting.pop()
            part = context and context.part(context.contexts[start:stop])
            try:
                settled = await self._once(batch, items[start:stop], part)
            except Exception as error:  # noqa: BLE001 - as above
                if stop - start > 1 and not isinstance(error, _NOT_BISECTED):
                    middle = (start + stop) // 2
                    waiting += [(middle, stop), (start, middle)]
                    continue
                self._log(batch, error)
                settled = all_failed(whole_batch(self._call.name, error), stop - start)
            values[start:stop] = settled.values
            errors.update((start + index, error) for index, error in settled.errors.items())
            fatal = fatal or settled.fatal
        return Settled(values, errors, fatal)

    def _context(self, batch: Batch, contexts: Sequence[contextvars.Context]) -> BatchContext:
        deadline = None
        if self._timeout is not None:
            deadline = min([*batch.times[:1], batch.started]) + self._timeout
        return BatchContext(
            name=self._call.name,
            batch_id=f"{self._prefix}-{batch.number}",
            attempt=batch.attempt,
            deadline=deadline,
            reason=batch.reason,
            contexts=contexts,
            transaction=batch.transaction,
        )

    def _log(self, batch: Batch, error: Exception) -> None:
        logger.error(
            "batch %s-%d of %s failed: %s",
            self._prefix,
            batch.number,
            self._call.name,
            type(error).__name__,
            exc_info=error,
            extra={"batch_id": f"{self._prefix}-{batch.number}", "handler": self._call.name},
        )


def _spread(settled: Settled, source: Sequence[int]) -> Settled:
    """Answer duplicates as their first: the same value, an exception of their own."""
    values = [settled.values[i] for i in source]
    errors: dict[int, Exception] = {}
    given: set[int] = set()
    for index, first in enumerate(source if settled.errors else ()):
        error = settled.errors.get(first)
        if error is not None:
            errors[index] = another(error) if first in given else error
            given.add(first)
    return Settled(values, errors, settled.fatal)
