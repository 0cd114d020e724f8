"""Who may come in: room for single calls and lists, and the refusals."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from gristmill.batching.batch import Mark
from gristmill.batching.coalescer import Coalescer
from gristmill.batching.recipe import Recipe
from gristmill.batching.room import Room
from gristmill.errors import BatcherClosed, ItemTooHeavy, QueueFull


class Admission:
    """The door of one batcher.

    Attributes:
        room: Permits for what is pending.
    """

    def __init__(self, recipe: Recipe, coalescer: Coalescer) -> None:
        self.room = Room(recipe.limits.max_pending, recipe.limits.max_pending_weight)
        self._recipe = recipe
        self._coalescer = coalescer
        self._is_shut = False
        self._purge_seconds = 0.0
        self._purged_at = -math.inf

    def shut(self) -> None:
        """Let nobody in any more."""
        self._is_shut = True
        self.room.shut(self.closed())

    def closed(self) -> BatcherClosed:
        """Return the error of those who come, or wait, too late."""
        return BatcherClosed(f"{self._recipe.name} is closed on this event loop")

    def check_weights(self, marks: Sequence[Mark]) -> None:
        """Refuse an item that no batch can hold, with ``ItemTooHeavy``."""
        limit = self._recipe.limits.max_weight
        if limit is None:
            return
        for mark in marks:
            if mark.weight > limit:
                name = self._recipe.name
                raise ItemTooHeavy(
                    f"an item of weight {mark.weight:g} is over max_weight={limit:g} of {name}"
                )

    def make_room(self, count: int, weight: float) -> None:
        """Drop what callers gave up; raise ``QueueFull`` or ``BatcherClosed`` when that does not help."""
        if self._is_shut:
            raise self.closed()
        # Looking through the whole buffer at every refused call would be the
        # load that an overloaded service can least bear: a quarter of the time at most.
        now = time.perf_counter()
        if now - self._purged_at >= 3 * self._purge_seconds:
            self._coalescer.purge()
            self.account_dropped()
            self._purged_at = time.perf_counter()
            self._purge_seconds = self._purged_at - now
        if not self.room.fits(count, weight):
            self._recipe.ledger.items["rejected"] += count
            limit = self._recipe.limits.max_pending
            raise QueueFull(f"{self._recipe.name} has {self.room.used} items pending; max_pending={limit}")

    def take(self, count: int, weight: float) -> None:
        """Take room now, or raise as ``make_room``."""
        if not self.room.fits(count, weight):
            self.make_room(count, weight)
        self.room.take(count, weight)

    async def enter(self, count: int, weight: float) -> None:
        """Take room, after a wait in line where needed.

        Raises:
            BatcherClosed: It is closed, or is while this waits.
        """
        self._check_open()
        if not self.room.fits(count, weight):
            self._coalescer.purge()
            self.account_dropped()
        await self.room.enter(count, weight)
        try:
            self._check_open()
        except BatcherClosed:  # shut between the permit and this line
            self.room.give(count, weight)
            raise

    def _check_open(self) -> None:
        if self._is_shut:
            raise self.closed()

    def account_dropped(self) -> None:
        """Return the room of single calls that were given up or expired."""
        dropped, weight = self._coalescer.dropped.take()
        if dropped:
            self._recipe.ledger.items["cancelled"] += sum(w.cancelled() for w in dropped)
            self.room.give(len(dropped), weight)
