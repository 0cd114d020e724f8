"""Which chunks a claim takes, in memory: the reference for the claim statements of the other stores."""

from __future__ import annotations

from collections.abc import Iterable

from gristmill.model.lease import Claim, Idle
from gristmill.model.queue import Bucket
from gristmill.queue.memory.tables import ChunkRow, LeaseRow, QueueRow, Tables


def claim_from(
    tables: Tables, queue: str, *, worker: str, now: float, max_items: int, max_bytes: int, seconds: float
) -> Claim | Idle:
    """Lease what is due in *queue*, as ``Store.claim`` says."""
    settings = tables.queues.get(queue) or QueueRow()
    if settings.is_paused or _is_busy(tables, queue, settings):
        return Idle()
    waiting = [
        row
        for row in tables.chunks.values()
        if row.queue == queue
        and row.is_live
        and not row.is_blocked
        and not tables.jobs[row.new.job].is_receiving
    ]
    due = sorted((row for row in waiting if row.due_at <= now), key=lambda row: row.rank)
    if not due:
        return Idle(due_in=min((row.due_at - now for row in waiting), default=None))
    limits = settings.limits
    bucket = (settings.bucket or Bucket(tokens=limits.largest_burst, at=now)).refilled(limits, now)
    if not bucket.admits(due[0].new.items, limits):
        return Idle(due_in=bucket.admits_in(due[0].new.items, limits))
    room = max_items if limits.rate is None else min(max_items, int(max(bucket.tokens, due[0].new.items)))
    taken = _fitting(due, room, max_bytes)
    items = sum(row.new.items for row in taken)
    if limits.rate is not None:
        settings.bucket = Bucket(tokens=bucket.tokens - items, at=now)
    lease = tables.next_id()
    tables.leases[lease] = LeaseRow(queue=queue, worker=worker, expires_at=now + seconds)
    for row in taken:
        row.lease = lease
    chunks = tuple(map(tables.chunk, taken))
    return Claim(lease=lease, queue=queue, chunks=chunks, more=len(due) > len(taken))


def _is_busy(tables: Tables, queue: str, settings: QueueRow) -> bool:
    if settings.limits.concurrency is None:
        return False
    held = sum(row.queue == queue and row.settled_at is None for row in tables.leases.values())
    return held >= settings.limits.concurrency


def _fitting(due: Iterable[ChunkRow], max_items: int, max_bytes: int) -> list[ChunkRow]:
    """Return the first of *due*, and those right behind it that fit beside it."""
    taken: list[ChunkRow] = []
    items = size = 0
    for row in due:
        if taken:
            is_alone = row.new.crashes or taken[0].new.crashes
            is_full = items + row.new.items > max_items or size + len(row.new.body) > max_bytes
            if is_alone or is_full:
                break
        taken.append(row)
        items += row.new.items
        size += len(row.new.body)
    return taken
