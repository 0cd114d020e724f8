"""Whose time is up: one look over everything pending, instead of a timer for each item. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from gristmill.batching.batch import Batch, Waiter
from gristmill.batching.coalescer import Coalescer


class Expiry(NamedTuple):
    """What is overdue.

    Attributes:
        waiters: Single calls whose time is up and that have no answer.
        overrun: Running batches that nobody waits for any more, or that have
            run for a whole timeout themselves.
    """

    waiters: list[Waiter]
    overrun: list[Batch]


def overdue(
    coalescer: Coalescer, running: Iterable[Batch], delayed: Iterable[Batch], before: float
) -> Expiry:
    """Find what came, or for lists was dispatched, at *before* or earlier."""
    waiters = [w for w in coalescer.overdue(before) if not w.done()]
    for batch in delayed:
        waiters += _late(batch, before)
    overrun = []
    for batch in running:
        late = _late(batch, before)
        if batch.started <= before or (late and _is_last(batch, len(late))):
            overrun.append(batch)
        else:
            waiters += late
    return Expiry(waiters, overrun)


def _late(batch: Batch, before: float) -> list[Waiter]:
    return [w for w in batch.waiters[: bisect_right(batch.times, before)] if not w.done()]


def _is_last(batch: Batch, late: int) -> bool:
    """Tell whether nobody but the *late* waiters waits for *batch*."""
    if any(not piece.owner.is_dead for piece in batch.slices):
        return False
    return sum(not w.done() for w in batch.waiters) == late


def next_start(
    coalescer: Coalescer, running: Iterable[Batch], delayed: Iterable[Batch], before: float
) -> float:
    """Return the earliest time after *before* from which a timeout counts; inf when there is none."""
    earliest = coalescer.oldest_single(before)
    for batch in (*running, *delayed):
        index = bisect_right(batch.times, before)
        if index < len(batch.times):
            earliest = min(earliest, batch.times[index])
    for batch in running:
        if batch.started > before:
            earliest = min(earliest, batch.started)
    return earliest
