"""Which of many partitions is due first, without asking all of them. Pure."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable

from gristmill.batching.partition import Partition


class Agenda:
    """Partitions by the time at which their next batch must go.

    Only partitions that got items are asked anew. A due time that has moved
    later since, because callers gave up, is noticed when it comes.

    Args:
        due_at: Tells a partition's due time.
    """

    __slots__ = ("_changed", "_due", "_due_at", "_heap", "_turns")

    def __init__(self, due_at: Callable[[Partition], float]) -> None:
        self._due_at = due_at
        self._changed: dict[Partition, None] = {}
        self._due: dict[Partition, float] = {}
        # The number keeps partitions that are due at once in the order of their turns.
        self._heap: list[tuple[float, int, Partition]] = []
        self._turns = itertools.count()

    def note(self, partition: Partition) -> None:
        """Ask *partition* anew when somebody next wants to know."""
        self._changed[partition] = None

    def forget(self, partition: Partition) -> None:
        """Strike *partition* out."""
        self._changed.pop(partition, None)
        self._due.pop(partition, None)

    def first(self) -> float:
        """Return the earliest due time: -inf when a batch is full, inf when nothing waits."""
        self._look()
        return self._heap[0][0] if self._heap else math.inf

    def pop_due(self, now: float) -> Partition | None:
        """Strike out and return the first partition that is due at *now*; None when none is."""
        while self.first() <= now:
            _, _, partition = heapq.heappop(self._heap)
            del self._due[partition]
            due = self._due_at(partition)
            if due <= now:
                return partition
            self._put(partition, due)
        return None

    def _look(self) -> None:
        changed, self._changed = self._changed, {}
        for partition in changed:
            due = self._due_at(partition)
            if due != self._due.get(partition):
                self._put(partition, due)
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)

    def _put(self, partition: Partition, due: float) -> None:
        if due < math.inf:
            self._due[partition] = due
            heapq.heappush(self._heap, (due, next(self._turns), partition))
        else:
            self._due.pop(partition, None)
