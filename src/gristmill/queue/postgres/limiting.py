"""What the limits of a queue leave of a claim: arithmetic on rows that the claim has locked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gristmill.model.lease import Idle
from gristmill.model.queue import Bucket, QueueLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """That something may be claimed.

    Attributes:
        items: How much, at the most; a first chunk that is larger is let through.
        bucket: From which it is taken; None without a rate.
    """

    items: int
    bucket: Bucket | None


def allowance(settings: Any, seen: Any, max_items: int) -> Allowance | Idle | None:
    """Return what may be claimed, or why nothing may; None to look again: something became ready just now.

    Args:
        settings: The row of ``lock_queue.sql``.
        seen: The row of ``peek.sql``.
        max_items: What the caller has room for.
    """
    limits = QueueLimits(rate=settings["rate"], burst=settings["burst"], concurrency=settings["concurrency"])
    is_busy = limits.concurrency is not None and seen["held"] >= limits.concurrency
    if settings["is_paused"] or is_busy:
        return Idle()
    first = seen["first"]
    if first is None:
        return None if seen["promoted"] else Idle(due_in=seen["due_in"])
    if limits.rate is None:
        return Allowance(items=max_items, bucket=None)
    full = Bucket(tokens=limits.largest_burst, at=seen["now"])
    held = full if settings["tokens"] is None else Bucket(tokens=settings["tokens"], at=settings["tokens_at"])
    bucket = held.refilled(limits, seen["now"])
    if not bucket.admits(first, limits):
        return Idle(due_in=bucket.admits_in(first, limits))
    return Allowance(items=min(max_items, int(max(bucket.tokens, first))), bucket=bucket)
