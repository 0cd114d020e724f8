"""Which chunks a claim takes, and whether there are any."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apsw

from gristmill.model.job import AGING
from gristmill.model.lease import Claim, Idle
from gristmill.model.queue import Bucket, QueueLimits
from gristmill.queue.sqlite.rows import chunks_of_lease, ids_text
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement

_SETTINGS = statement("queue_settings")
_DUE = statement("claim_due")
_NEXT_DUE = statement("claim_next_due")
_PAY = statement("claim_pay")
_OPEN = statement("lease_insert")
_HOLD = statement("lease_hold")


class _Due(NamedTuple):
    """A due chunk."""

    id: int
    items: int
    size: int
    crashes: int
    rank: float


class _Offer(NamedTuple):
    """What may be claimed: the first due chunk, those behind it, and what the queue's rate has left."""

    head: _Due
    others: Iterator[_Due]
    limits: QueueLimits
    bucket: Bucket


class Wanted(NamedTuple):
    """What a worker asks for."""

    queue: str
    worker: str
    max_items: int
    max_bytes: int
    seconds: float


def claim(session: Session, wanted: Wanted) -> Claim | Idle:
    """Lease what is due, as ``Store.claim`` says."""
    connection, now = session.connection, session.now
    offer = _offer(connection, wanted.queue, now)
    if isinstance(offer, Idle):
        return offer
    head, others, limits, bucket = offer
    room = wanted.max_items
    if limits.rate is not None:
        room = min(room, int(max(bucket.tokens, head.items)))
    taken, more = _fitting(head, others, room, wanted.max_bytes)
    if limits.rate is not None:
        left = bucket.tokens - sum(chunk.items for chunk in taken)
        connection.execute(_PAY, (left, now, wanted.queue))
    connection.execute(_OPEN, (wanted.queue, wanted.worker, now + wanted.seconds))
    lease = connection.last_insert_rowid()
    connection.execute(_HOLD, (lease, ids_text([chunk.id for chunk in taken])))
    return Claim(lease=lease, queue=wanted.queue, chunks=chunks_of_lease(connection, lease), more=more)


def due_in(connection: apsw.Connection, queues: Sequence[str]) -> float | None:
    """Return the seconds until something of *queues* can be claimed: 0 for now, None if nothing will be."""
    now = time.time()
    offers = [_offer(connection, queue, now) for queue in queues]
    waits = [offer.due_in if isinstance(offer, Idle) else 0.0 for offer in offers]
    return min((wait for wait in waits if wait is not None), default=None)


def _offer(connection: apsw.Connection, queue: str, now: float) -> _Offer | Idle:
    limits, bucket = QueueLimits(), None
    settings = connection.execute(_SETTINGS, (queue,)).fetchone()
    if settings is not None:
        is_paused, rate, burst, concurrency, tokens, tokens_at, leases = settings
        if is_paused or (concurrency is not None and leases >= concurrency):
            return Idle()
        limits = QueueLimits(rate=rate, burst=burst, concurrency=concurrency)
        bucket = None if tokens is None else Bucket(tokens=tokens, at=tokens_at)
    due = map(_Due._make, connection.execute(_DUE, (queue, now, AGING)))
    head = next(due, None)
    if head is None:
        next_due = connection.execute(_NEXT_DUE, (queue, AGING)).get
        return Idle(due_in=None if next_due is None else max(0.0, next_due - now))
    left = (bucket or Bucket(tokens=limits.largest_burst, at=now)).refilled(limits, now)
    if not left.admits(head.items, limits):
        return Idle(due_in=left.admits_in(head.items, limits))
    return _Offer(head, due, limits, left)


def _fitting(head: _Due, others: Iterator[_Due], max_items: int, max_bytes: int) -> tuple[list[_Due], bool]:
    """Return *head* and those right behind it that fit beside it, and whether more is due."""
    taken, items, size = [head], head.items, head.size
    for chunk in others:
        items += chunk.items
        size += chunk.size
        if chunk.crashes or head.crashes or items > max_items or size > max_bytes:
            return taken, True
        taken.append(chunk)
    return taken, False
