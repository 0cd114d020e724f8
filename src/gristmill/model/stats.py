"""What a handler has done and holds now, as one plain record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.model.histogram import Histogram
from gristmill.model.sizing import Sizing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """A snapshot of one handler: gauges of this moment, counts since it was made.

    Attributes:
        name: The handler's name.
        pending: Items buffered, not yet in a batch.
        pending_weight: Their summed weight; 0 without ``weigh``.
        running_batches: Handler calls in progress.
        running_items: Items in them.
        slots: Batches that may run at once, per event loop.
        oldest_age: Seconds since the oldest buffered item came; 0 when there is none.
        batches: Handler calls that ended.
        items: Items answered, by outcome: ok, failed, cancelled, expired, rejected.
        errors: Handler calls that gave no usable reply, by code.
        flushes: Batches formed, by reason: size, weight, time, idle, drain, nested, retry.
        batch_size: Items per handler call.
        batch_duration: Seconds per handler call.
        queue_wait: Seconds from an item's arrival to its handler call.
        sizing: What ``Adaptive`` or ``Linger`` has learnt; None without them.
    """

    name: str
    pending: int
    pending_weight: float
    running_batches: int
    running_items: int
    slots: int
    oldest_age: float
    batches: int
    items: Mapping[str, int]
    errors: Mapping[str, int]
    flushes: Mapping[str, int]
    batch_size: Histogram
    batch_duration: Histogram
    queue_wait: Histogram
    sizing: Sizing | None
