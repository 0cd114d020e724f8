"""Which batch goes next: a pure state machine over the partitions of one loop.

Late forming: nothing is cut into batches before a slot is free, so a batch
grows until the moment it starts. Partitions of different keys take turns.
"""

from __future__ import annotations

import contextlib
import math
from bisect import bisect_right
from collections.abc import Hashable, Iterable

from gristmill.batching.agenda import Agenda
from gristmill.batching.batch import Batch, Owner, Part, Waiter
from gristmill.batching.partition import Dropped, Partition
from gristmill.model.flush import FlushReason
from gristmill.model.limits import Limits
from gristmill.model.linger import FixedWait


class Coalescer:
    """The items of one event loop that no batch has taken yet.

    Attributes:
        main: The partition of everything that has no key.
        dropped: The single calls whose callers gave up, to be accounted for.
        is_flushing: Whether lingers are over, because of a drain.
    """

    __slots__ = (
        "_agenda", "_by_key", "_cap", "_dedupe", "_fixed_cost", "_is_keyed", "_line", "_max_weight", "_wait",
        "dropped", "is_eager", "is_flushing", "main",
    )  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self.dropped = Dropped()
        self.main = Partition(None, self.dropped)
        self.is_flushing = False
        self.is_eager = isinstance(limits.wait, FixedWait) and limits.wait.max_wait == 0
        self._wait = limits.wait
        self._dedupe = bool(limits.dedupe)
        self._max_weight = math.inf if limits.max_weight is None else limits.max_weight
        self._cap, self._fixed_cost = 1, 0.0
        # In the order of their turns. Without a key there is only the main one, for good;
        # a partition of a key is there only while something waits under it.
        self._is_keyed = limits.key is not None
        self._line: dict[Partition, None] = {} if self._is_keyed else {self.main: None}
        # Only to find one for a new item: a key that changes while it is held is found no more.
        self._by_key: dict[Hashable, Partition] = {}
        self._agenda = Agenda(self._due_of)

    def __len__(self) -> int:
        """Items that wait."""
        return sum(map(len, tuple(self._line)))  # a copy: other threads ask for stats

    def __repr__(self) -> str:
        """Show what tests want to see."""
        return f"<Coalescer {len(self)} items under {len(self._line)} keys>"

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._line if self._is_keyed else not (self.main.items or self.main.parts)

    @property
    def weight(self) -> float:
        """Their summed weight."""
        return math.fsum(p.weight for p in tuple(self._line))

    def partition(self, key: Hashable) -> Partition:
        """Return the partition of *key*, made when there is none; something is put into it next."""
        if not self._is_keyed:
            return self.main
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Partition(key, self.dropped)
        self._line.setdefault(found)
        self._agenda.note(found)
        return found

    def add_parts(self, parts: Iterable[tuple[Hashable, Part]]) -> None:
        """Let lists wait, each under its key."""
        for key, part in parts:
            partition = self.partition(key)
            partition.parts.append(part)
            if part.marks is not None:
                partition.weight += math.fsum(m.weight for m in part.marks)

    def oldest(self) -> float:
        """Return when the oldest item came, inf when nothing waits."""
        line = tuple(self._line)
        times = [p.times[0] for p in line if p.times]
        times += [part.time for p in line for part in p.parts if len(part)]
        return min(times, default=math.inf)

    def oldest_single(self, after: float = -math.inf) -> float:
        """Return when the oldest single call later than *after* came, inf when there is none.

        Lists have no deadline while they wait.
        """
        found = math.inf
        for partition in self._line:
            times = partition.times
            if times:
                index = bisect_right(times, after)
                found = min(found, times[index]) if index < len(times) else found
        return found

    def overdue(self, before: float) -> list[Waiter]:
        """Return the waiters of single calls that came at *before* or earlier."""
        found: list[Waiter] = []
        for partition in self._line:
            found += partition.waiters[: bisect_right(partition.times, before)]
        return found

    def due_at(self, cap: int, fixed_cost: float) -> float:
        """Return when the next batch must go, -inf when one should at once, inf when nothing waits."""
        if self.is_eager or self.is_flushing:
            return math.inf if self.is_empty else -math.inf
        self._cap, self._fixed_cost = cap, fixed_cost
        return self._agenda.first() if self._is_keyed else self._due_of(self.main)

    def _due_of(self, partition: Partition) -> float:
        due = partition.due_at(self._wait, self._cap, self._max_weight, self._fixed_cost)
        if due == math.inf:
            self._leave(partition)
        return due

    def take(self, now: float, cap: int, fixed_cost: float) -> Batch | None:
        """Form the next batch that is due at *now*; None when there is none.

        The partition it comes from goes to the end of the line.
        """
        self._cap, self._fixed_cost = cap, fixed_cost
        while (partition := self._next_due(now)) is not None:
            reason = self._reason(partition)
            batch = partition.take(reason, cap, self._max_weight, dedupe=self._dedupe)
            if self._is_keyed:
                self._rotate(partition)
            if batch is not None:
                return batch
        return None

    def _next_due(self, now: float) -> Partition | None:
        if self.is_empty:
            return None
        if self.is_eager or self.is_flushing:
            return next(iter(self._line)) if self._is_keyed else self.main
        if self._is_keyed:
            return self._agenda.pop_due(now)
        return self.main if self._due_of(self.main) <= now else None

    def _reason(self, partition: Partition) -> FlushReason:
        if self.is_flushing:
            return FlushReason.DRAIN
        if self.is_eager:
            return FlushReason.IDLE
        if len(partition) >= self._cap:
            return FlushReason.SIZE
        return FlushReason.WEIGHT if partition.weight >= self._max_weight else FlushReason.TIME

    def _rotate(self, partition: Partition) -> None:
        if not len(partition):
            self._leave(partition)
            return
        del self._line[partition]
        self._line[partition] = None
        self._agenda.forget(partition)
        self._agenda.note(partition)

    def _leave(self, partition: Partition) -> None:
        if not self._is_keyed:
            return
        self._line.pop(partition, None)
        self._agenda.forget(partition)
        with contextlib.suppress(Exception):  # of a key's own __hash__ or __eq__
            if self._by_key.get(partition.key) is partition:
                del self._by_key[partition.key]

    def purge(self) -> None:
        """Drop every single call whose caller gave up."""
        for partition in list(self._line):
            partition.purge()
            if not len(partition):
                self._leave(partition)

    def waiting_of(self, owner: Owner) -> int:
        """Return how many items of *owner*'s list no batch has taken."""
        return sum(len(part) for p in self._line for part in p.parts if part.owner is owner)

    def drop_parts(self, owner: Owner) -> None:
        """Drop what waits of *owner*'s list."""
        for partition in list(self._line):
            for part in [p for p in partition.parts if p.owner is owner]:
                partition.parts.remove(part)
                if part.marks is not None:
                    partition.weight -= math.fsum(m.weight for m in part.marks[part.head :])
            if not len(partition):
                self._leave(partition)

    def take_all(self) -> list[Batch]:
        """Remove everything, as batches of any size: they are to be failed, not run."""
        batches = []
        for partition in list(self._line):
            while (batch := partition.take(FlushReason.DRAIN, 1 << 60, math.inf, dedupe=False)) is not None:
                batches.append(batch)
            self._leave(partition)
        return batches
