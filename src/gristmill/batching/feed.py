"""A stream: items pulled from a source as fast as they are answered, and no faster."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from gristmill.batching.batch import Mark, Part
from gristmill.batching.batcher import Batcher

Source = AsyncIterable[Any] | Iterable[Any]
Answer = tuple[int, Any, Exception | None]


class Feed:
    """The items of one ``stream`` call between its source and its consumer.

    Outstanding are at most as many items as fill every slot once and one more
    batch; the source is not asked for more before the consumer has taken
    answers.
    """

    def __init__(self, batcher: Batcher, sort: Callable[[Any], tuple[Hashable, Mark | None]]) -> None:
        self.is_dead = False
        self._batcher = batcher
        self._sort = sort
        self._parts: dict[Hashable, Part] = {}
        self._weights: dict[int, float] = {}
        self._read = 0  # items taken from the source
        self._answered = 0
        self._given = 0  # answers taken by the consumer
        self._answers: deque[Answer] = deque()
        self._early: dict[int, Answer] = {}  # answered before what stands ahead of them
        self._changed = asyncio.Event()
        self._drained = asyncio.Event()

    def deliver(
        self, positions: Sequence[int], values: Sequence[Any], errors: Mapping[int, Exception]
    ) -> None:
        """Take the answers to some of the items, and return their room."""
        weight = sum(self._weights.pop(position, 0.0) for position in positions) if self._weights else 0.0
        self._batcher.room.give(len(positions), weight)
        self._answered += len(positions)
        self._answers += (
            (position, value, errors.get(index))
            for index, (position, value) in enumerate(zip(positions, values, strict=True))
        )
        self._changed.set()

    async def answers(self, source: Source, *, ordered: bool = False) -> AsyncGenerator[Answer, None]:
        """Yield ``(index, value, error)`` of each item of *source* as it is answered, or in its order.

        Raises:
            Exception: What the source raised, after the answers to what came before.
        """
        reader = self._batcher.loop.create_task(self._pull(source), name="gristmill stream")
        reader.add_done_callback(lambda _: self._changed.set())
        try:
            while not reader.done() or self._given < self._read or self._answers:
                while (answer := self._next(ordered=ordered)) is not None:
                    yield answer
                    self._given += 1
                    self._drained.set()
                if reader.done() and self._given >= self._read:
                    break
                self._changed.clear()
                if not self._answers:
                    await self._changed.wait()
            reader.result()
        finally:
            await self._stop(reader)

    def _next(self, *, ordered: bool) -> Answer | None:
        if not ordered:
            return self._answers.popleft() if self._answers else None
        while self._answers:
            answer = self._answers.popleft()
            self._early[answer[0]] = answer
        return self._early.pop(self._given, None)

    async def _stop(self, reader: asyncio.Task[None]) -> None:
        waiting = self._batcher.coalescer.waiting_of(self)
        self.is_dead = True
        left = self._read - self._answered
        if left:
            self._batcher.recipe.ledger.items["cancelled"] += waiting
            self._batcher.drop_parts(self)
            self._batcher.room.give(left, sum(self._weights.values()))
        if not reader.done():
            reader.cancel()
            await asyncio.wait([reader])
        elif not reader.cancelled():
            reader.exception()  # the consumer has seen it, or has gone

    async def _pull(self, source: Source) -> None:
        if isinstance(source, AsyncIterable):
            iterator = source.__aiter__()
            try:
                async for item in iterator:
                    await self._push(item)
            finally:
                close = getattr(iterator, "aclose", None)
                if close is not None:
                    await close()
            return
        for item in source:
            await self._push(item)
            if not self._read % self._batcher.recipe.cap:
                await asyncio.sleep(0)  # a source that never waits must not keep the loop from its batches

    async def _push(self, item: Any) -> None:
        batcher = self._batcher
        key, mark = self._sort(item)
        if mark is not None:
            batcher.admission.check_weights((mark,))
        weight = 0.0 if mark is None else mark.weight
        while self._is_ahead():
            self._drained.clear()
            await self._drained.wait()
        if batcher.room.fits(1, weight):
            batcher.room.take(1, weight)
        else:
            await batcher.admission.enter(1, weight)
        part = self._parts.get(key)
        if part is None or part.head == len(part.items):
            # A part that was served whole has left the ring; a new one gets in line.
            part = self._parts[key] = Part(
                self, [], batcher.clock(), positions=[], marks=None if mark is None else []
            )
            batcher.add_parts([(key, part)])
        part.append(self._read, item, mark)
        if weight:
            self._weights[self._read] = weight
            batcher.coalescer.partition(key).weight += weight
        self._read += 1
        batcher.wake()

    def _is_ahead(self) -> bool:
        outstanding = self._read - self._given
        limits = self._batcher.recipe.limits
        window = min(limits.max_pending, self._batcher.recipe.cap * (self._batcher.recipe.slots + 1))
        if outstanding >= window:
            return True
        if limits.max_weight is None or not outstanding:
            return False
        return sum(self._weights.values()) >= limits.max_weight * (self._batcher.recipe.slots + 1)
