"""Handler calls in a worker: rows in batches through the handler's own machinery."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.batching.reply import Settled
from gristmill.errors import EndRun
from gristmill.model.outcome import Failed, failed_from
from gristmill.model.retry import Retry
from gristmill.model.sizing import Adaptive
from gristmill.streams.engines.protocol import Marker
from gristmill.streams.worker.first_logs import FirstOfEach

_LOGGER = logging.getLogger("gristmill.batching")
_TARGET = 1.0
"""Seconds of one handler call that automatic sizes aim at."""
_LARGEST = 100_000
_LAST = 5.0
"""Seconds that tasks which a handler left running get to end."""


@dataclass(slots=True)
class Called:
    """What the handler said to a chunk.

    Attributes:
        values: One for each row; None where it failed.
        failures: index -> what went wrong, and how often the handler saw the row.
        batches: Handler calls.
        seconds: Spent in them, one after another.
        batch_size: Of the last.
    """

    values: list[Any]
    failures: dict[int, tuple[Failed, int]]
    batches: int = 0
    seconds: float = 0.0
    batch_size: int = 0


class Caller:
    """Calls one handler, on an event loop that the worker keeps.

    What it raises is bisected, so that it fails the rows it is about and no
    others; rows that may succeed later are tried again, alone, as the
    handler's ``retry`` says. Each kind of error is logged once.

    Args:
        handler: Any; it runs in this process whatever its executor is.
        batch_size: Rows of a call; ``"auto"`` learns it, None takes the handler's own ``max_size``.
    """

    def __init__(self, handler: BatchHandler[Any, Any], batch_size: int | str | None) -> None:
        chosen: int | Adaptive | None = batch_size if isinstance(batch_size, int) else None
        if batch_size == "auto":
            chosen = Adaptive(target_latency=_TARGET, max_size=_LARGEST)
        self._handler = handler.inline(chosen)
        self._retry = handler.limits.retry
        self._first = FirstOfEach()
        _LOGGER.addFilter(self._first)
        self._loop = asyncio.new_event_loop()  # no Runner: it would look after SIGINT at every chunk

    @property
    def batch(self) -> int:
        """Rows that the handler takes at once, over all its slots."""
        return self._handler.cap * self._handler.slots

    def call(self, items: Sequence[Any], marker: Marker, batch_size: int | None = None) -> Called:
        """Return what the handler says to *items*.

        Args:
            items: All rows of a chunk.
            marker: Told which rows are with the handler.
            batch_size: Rows of a call at most.
        """
        return self._loop.run_until_complete(self._call(items, marker, batch_size))

    def probe(self, items: list[Any]) -> None:
        """Call the handler with *items* as one batch; only whether the process lives counts."""
        self._loop.run_until_complete(self._handler.run_batch(items))

    async def _call(self, items: Sequence[Any], marker: Marker, batch_size: int | None) -> Called:
        called = Called([None] * len(items), {})
        if not items:
            return called
        await _Round(self._handler, items, marker, called, batch_size=batch_size).run()
        if self._retry is not None and called.failures:
            await self._try_again(self._retry, items, marker, called, batch_size)
        return called

    async def _try_again(
        self, retry: Retry, items: Sequence[Any], marker: Marker, called: Called, batch_size: int | None
    ) -> None:
        attempt = 1
        while True:
            again = [
                index
                for index, (failed, seen) in called.failures.items()
                if seen == attempt and retry.admits(failed.exception(), attempt)
            ]
            if not again:
                return
            await asyncio.sleep(retry.delay(attempt, random.random()))  # noqa: S311 - jitter
            attempt += 1
            for index in again:
                del called.failures[index]
            await _Round(
                self._handler, items, marker, called, batch_size=batch_size, indices=again, attempt=attempt
            ).run()

    def close(self) -> None:
        """End the loop, and what the handler left running on it."""
        _LOGGER.removeFilter(self._first)
        loop = self._loop
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Round:
    """One pass over some of the rows; as many batches at once as the handler has slots."""

    def __init__(
        self,
        handler: BatchHandler[Any, Any],
        items: Sequence[Any],
        marker: Marker,
        called: Called,
        *,
        batch_size: int | None,
        indices: Sequence[int] | None = None,
        attempt: int = 1,
    ) -> None:
        self._handler = handler
        self._items = items
        self._marker = marker
        self._called = called
        self._largest = batch_size or len(items)
        self._indices: Sequence[int] = range(len(items)) if indices is None else indices
        self._attempt = attempt
        self._running: deque[Sequence[int]] = deque()

    async def run(self) -> None:
        batches = self._batches()
        slots = self._handler.slots
        if slots == 1:
            for batch in batches:
                await self._one(batch)
        else:
            await self._side_by_side(batches, slots)
        self._marker.idle()

    async def _side_by_side(self, batches: Iterator[Sequence[int]], slots: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(slots):
                    group.create_task(self._some(batches))
        except BaseExceptionGroup as errors:  # one says it as well, and the end of the run goes before others
            ends = (error for error in errors.exceptions if isinstance(error, EndRun))
            raise next(ends, errors.exceptions[0]) from None

    async def _some(self, batches: Iterator[Sequence[int]]) -> None:
        for batch in batches:
            await self._one(batch)

    def _batches(self) -> Iterator[Sequence[int]]:
        at = 0
        while at < len(self._indices):
            size = max(1, min(self._handler.cap, self._largest))
            yield self._indices[at : at + size]
            at += size

    async def _one(self, batch: Sequence[int]) -> None:
        called, items = self._called, self._items
        self._running.append(batch)
        self._mark()
        chosen = (
            list(items[batch.start : batch.stop])
            if isinstance(batch, range)
            else [items[index] for index in batch]
        )
        began = time.perf_counter()
        settled = await self._handler.run_batch(chosen, attempt=self._attempt, bisect=True)
        called.seconds += time.perf_counter() - began
        called.batches += 1
        called.batch_size = len(batch)
        self._running.remove(batch)
        self._mark()
        self._take(batch, settled)

    def _mark(self) -> None:
        """Note the rows from the first that runs to the last."""
        if self._running:
            self._marker.running(
                min(batch[0] for batch in self._running), max(batch[-1] for batch in self._running) + 1
            )

    def _take(self, batch: Sequence[int], settled: Settled) -> None:
        called = self._called
        if isinstance(batch, range):
            called.values[batch.start : batch.stop] = settled.values
        else:
            for index, value in zip(batch, settled.values, strict=True):
                called.values[index] = value
        for position, error in settled.errors.items():
            called.failures[batch[position]] = (failed_from(error), self._attempt)
