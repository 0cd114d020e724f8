"""A caller's list: handed over whole, answered whole."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from gristmill.batching.batch import Mark, Part
from gristmill.batching.batcher import Batcher


class Gathering:
    """The items of one ``many`` or ``outcomes`` call, and their answers as they come.

    Attributes:
        values: One for each item, in the caller's order.
        errors: index -> why it has no value.
    """

    def __init__(self, batcher: Batcher, items: list[Any]) -> None:
        self.values: list[Any] = [None] * len(items)
        self.errors: dict[int, Exception] = {}
        self.is_dead = False
        self._batcher = batcher
        self._items = items
        self._missing = len(items)
        self._done: asyncio.Future[None] = batcher.loop.create_future()

    def deliver(
        self, positions: Sequence[int], values: Sequence[Any], errors: Mapping[int, Exception]
    ) -> None:
        """Take the answers to some of the items."""
        if isinstance(positions, range):
            self.values[positions.start : positions.stop] = values
        else:
            for position, value in zip(positions, values, strict=True):
                self.values[position] = value
        for index, error in errors.items():
            self.errors[positions[index]] = error
        self._missing -= len(positions)
        if not self._missing and not self._done.done():
            self._done.set_result(None)

    async def run(self, keys: list[Hashable] | None, marks: list[Mark] | None, *, wait: bool) -> None:
        """Let the items wait, go and be answered; ``values`` and ``errors`` are complete then.

        Cancellation drops the items that are in no batch yet.

        Raises:
            QueueFull: There is no room, and *wait* is false.
            BatcherClosed: The batcher takes no more items.
            ItemTooHeavy: No batch can hold one of them; none was taken.
        """
        batcher, limits = self._batcher, self._batcher.recipe.limits
        if marks is not None:
            batcher.admission.check_weights(marks)
        # The list is the caller's memory: room is taken for what may stand in one batch.
        count = min(len(self._items), batcher.recipe.cap, limits.max_pending)
        weight = min(sum(m.weight for m in marks or ()), limits.max_weight or 0.0)
        if wait:
            await batcher.admission.enter(count, weight)
        else:
            batcher.admission.take(count, weight)
        try:
            batcher.add_parts(self._parts(keys, marks))
            await self._done
        finally:
            if self._missing:
                # Counted before it is dead: what is in a batch counts itself.
                batcher.recipe.ledger.items["cancelled"] += batcher.coalescer.waiting_of(self)
                self.is_dead = True
                batcher.drop_parts(self)
            batcher.room.give(count, weight)

    def _parts(self, keys: list[Hashable] | None, marks: list[Mark] | None) -> list[tuple[Hashable, Part]]:
        now = self._batcher.clock()
        if keys is None:
            return [(None, Part(self, self._items, now, marks=marks))]
        by_key: dict[Hashable, list[int]] = {}
        for index, key in enumerate(keys):
            by_key.setdefault(key, []).append(index)
        return [
            (
                key,
                Part(
                    self,
                    [self._items[i] for i in indices],
                    now,
                    positions=indices,
                    marks=None if marks is None else [marks[i] for i in indices],
                ),
            )
            for key, indices in by_key.items()
        ]
