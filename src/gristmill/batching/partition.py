"""The buffer of one key: what waits, what is due, and the next batch. Pure state, no loop, no clock.

Single callers stand in parallel lists, oldest first; callers' lists stand in a
ring. A batch takes singles first, but leaves half of itself to the lists when
there are any, and the lists take turns: a list of 10,000 does not starve a
lone call, nor lone calls a list.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable
from itertools import islice
from typing import Any

from gristmill.batching.batch import Batch, Mark, Part, Waiter
from gristmill.model.flush import FlushReason
from gristmill.model.linger import Wait


class Dropped:
    """Single calls whose callers gave up, not yet accounted for."""

    __slots__ = ("waiters", "weight")

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []
        self.weight = 0.0

    def take(self) -> tuple[list[Waiter], float]:
        """Return them and their summed weight, once."""
        waiters, weight = self.waiters, self.weight
        if waiters:
            self.waiters, self.weight = [], 0.0
        return waiters, weight


class Partition:
    """What waits under one key.

    Attributes:
        items, waiters, times: Single calls, oldest first.
        marks: One for each of them, or empty where no option needs any.
        parts: Callers' lists, the next one to be served first.
        weight: Summed weight of all of them.

    Args:
        key: What they have in common.
        dropped: Where singles go whose callers gave up.
    """

    __slots__ = (
        "_dropped", "_skipped", "_summed", "_times_sum", "items", "key", "marks", "parts", "times",
        "waiters", "weight",
    )  # fmt: skip

    def __init__(self, key: Hashable, dropped: Dropped) -> None:
        self.key = key
        self.items: list[Any] = []
        self.waiters: list[Waiter] = []
        self.times: list[float] = []
        self.marks: list[Mark] = []
        self.parts: deque[Part] = deque()
        self.weight = 0.0
        self._dropped = dropped
        self._skipped = ""  # who waited and got nothing of the last batch, singles or lists
        self._times_sum = 0.0
        self._summed = 0

    def __len__(self) -> int:
        """Items that wait, those given up but not yet dropped included."""
        return len(self.items) + sum(map(len, self.parts))

    def push(self, item: Any, waiter: Waiter, time: float, mark: Mark) -> None:
        """Add a single call with its mark."""
        self.items.append(item)
        self.waiters.append(waiter)
        self.times.append(time)
        self.marks.append(mark)
        self.weight += mark.weight

    def purge(self) -> None:
        """Drop the singles whose callers gave up, into ``Dropped``."""
        live = [index for index, waiter in enumerate(self.waiters) if not waiter.done()]
        if len(live) == len(self.waiters):
            return
        self._dropped.waiters += [waiter for waiter in self.waiters if waiter.done()]
        self.items = [self.items[i] for i in live]
        self.waiters = [self.waiters[i] for i in live]
        self.times = [self.times[i] for i in live]
        if self.marks:
            kept = [self.marks[i] for i in live]
            lost = math.fsum(m.weight for m in self.marks) - math.fsum(m.weight for m in kept)
            self.marks = kept
            self.weight -= lost
            self._dropped.weight += lost
        self._times_sum, self._summed = 0.0, 0

    def due_at(self, wait: Wait, cap: int, max_weight: float, fixed_cost: float) -> float:
        """Return when, on the loop's clock, the next batch must go: -inf when full, inf when empty."""
        if self.waiters and self.waiters[0].done():
            self.purge()
        count = len(self)
        if (count >= cap or self.weight >= max_weight) and _any_done(self.waiters[:cap]):
            self.purge()  # those given up must not make it look full
            count = len(self)
        if not count:
            return math.inf
        if count >= cap or self.weight >= max_weight:
            return -math.inf
        self._times_sum += sum(islice(self.times, self._summed, None))
        self._summed = len(self.times)
        arrived_sum = self._times_sum
        oldest = self.times[0] if self.times else math.inf
        for part in self.parts:
            arrived_sum += part.time * len(part)
            oldest = min(oldest, part.time) if len(part) else oldest
        return wait.due_at(count=count, arrived_sum=arrived_sum, oldest=oldest, fixed_cost=fixed_cost)

    def take(self, reason: FlushReason, cap: int, max_weight: float, *, dedupe: bool) -> Batch | None:
        """Form the next batch and remove it; None when nobody waits.

        *reason* is what the caller knows; a full batch says so instead.
        """
        self._times_sum, self._summed = 0.0, 0
        waiting = sum(map(len, self.parts)) if self.parts else 0
        share = self._share(cap, waiting)
        if _any_done(self.waiters if dedupe else self.waiters[:share]):  # duplicates go uncounted
            self.purge()
        has_both = bool(waiting and self.items)
        batch = Batch(reason)
        if self.marks or (self.parts and any(part.marks for part in self.parts)):
            self._take_marked(batch, share, cap, max_weight, dedupe=dedupe)
        else:
            self._take_plain(batch, share, cap)
        self._skipped = _skipped(batch) if has_both else ""
        if not batch.items:
            return None
        if batch.is_full:
            batch.reason = FlushReason.SIZE
        return batch

    def _share(self, cap: int, waiting: int) -> int:
        """Return how many singles a batch may take first, when *waiting* items stand in lists."""
        if not waiting:
            return cap
        if self._skipped == "lists":
            return 0
        return max(cap // 2, cap - waiting, 1 if self._skipped == "singles" else 0)

    def _take_plain(self, batch: Batch, share: int, cap: int) -> None:
        if len(self.items) <= share:
            batch.items, batch.waiters, batch.times = self.items, self.waiters, self.times
            self.items, self.waiters, self.times = [], [], []
        else:
            batch.items, batch.waiters, batch.times = (
                self.items[:share],
                self.waiters[:share],
                self.times[:share],
            )
            del self.items[:share], self.waiters[:share], self.times[:share]
        while self.parts and len(batch.items) < cap:
            part = self.parts.popleft()
            if len(part):
                batch.add_slice(part, min(len(part.items), part.head + cap - len(batch.items)))
            if len(part):
                self.parts.append(part)
        batch.is_full = len(batch.items) >= cap

    def _take_marked(self, batch: Batch, share: int, cap: int, max_weight: float, *, dedupe: bool) -> None:
        fill = _Fill(batch, max_weight, dedupe=dedupe)
        taken = fill.count(self.marks, 0, share)
        batch.items, batch.waiters, batch.times = self.items[:taken], self.waiters[:taken], self.times[:taken]
        del self.items[:taken], self.waiters[:taken], self.times[:taken], self.marks[:taken]
        turns = len(self.parts)
        while turns and fill.size < cap and not fill.is_heavy:
            turns -= 1
            part = self.parts.popleft()
            if not len(part):
                continue
            fitting = fill.count(part.marks or [], part.head, cap)
            if not fitting:
                self.parts.appendleft(part)  # too heavy for the rest of this batch: it is first in the next
                continue
            batch.add_slice(part, part.head + fitting)
            if len(part):
                self.parts.append(part)
        self.weight = self.weight - math.fsum(batch.weights) if len(self) else 0.0
        batch.is_full = fill.size >= cap
        if fill.is_heavy and not batch.is_full:
            batch.reason = FlushReason.WEIGHT


def _any_done(waiters: list[Waiter]) -> bool:
    # A comprehension: per item a quarter of what any(), map() and methodcaller cost.
    return bool([waiter for waiter in waiters if waiter.done()])


def _skipped(batch: Batch) -> str:
    if not batch.slices:
        return "lists"
    return "" if batch.waiters else "singles"


class _Fill:
    """How full a batch of marked items is: duplicates are free, weights add up."""

    __slots__ = ("_batch", "_dedupe", "_max_weight", "_seen", "_sent_weight", "is_heavy", "size")

    def __init__(self, batch: Batch, max_weight: float, *, dedupe: bool) -> None:
        self._batch = batch
        self._max_weight = max_weight
        self._dedupe = dedupe
        self._seen: set[Any] = set()
        self._sent_weight = 0.0
        self.size = 0  # items the handler will see
        self.is_heavy = False
        if dedupe:
            batch.idents = []

    def count(self, marks: list[Mark], start: int, cap: int) -> int:
        """Take marks from *start* while they fit, and return how many did."""
        taken = 0
        for mark in islice(marks, start, None):
            is_new = not (self._dedupe and self._has(mark.ident))
            if is_new:
                if self.size >= cap:
                    break
                if self.size and self._sent_weight + mark.weight > self._max_weight:
                    self.is_heavy = True
                    break
                if self._dedupe:
                    self._note(mark.ident)
                self._sent_weight += mark.weight
                self.size += 1
            self._batch.add_mark(mark)
            taken += 1
        return taken

    # The user's own __eq__ may raise. What cannot be compared is the same as nothing else, and no reason
    # to form no batch any more.

    def _has(self, ident: Any) -> bool:
        try:
            return ident in self._seen
        except Exception:  # noqa: BLE001 - as said
            return False

    def _note(self, ident: Any) -> None:
        try:  # noqa: SIM105 - for each item, and suppress() takes thrice as long
            self._seen.add(ident)
        except Exception:  # noqa: BLE001, S110 - as said
            pass
