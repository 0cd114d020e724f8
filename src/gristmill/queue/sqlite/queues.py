"""Queues as a whole: how they stand, their limits, and their dead items."""

from __future__ import annotations

from typing import Any

import apsw

from gristmill.model.chunk import runs_from_text
from gristmill.model.job import AGING
from gristmill.model.queue import DeadFilter, DeadGroup, QueueLimits, QueueStatus
from gristmill.queue.sqlite.rows import Outcomes, ids_text, keys_of, unblock
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement

_STATUSES = statement("queue_statuses")
_PAUSE = statement("queue_pause")
_LIMIT = statement("queue_limit")
_DEAD = statement("dead_groups")
_DEAD_CHUNKS = statement("dead_chunks")
_REDRIVE = statement("redrive")


def statuses(connection: apsw.Connection, now: float) -> list[QueueStatus]:
    """Return how every queue stands."""
    return [
        QueueStatus(
            name=name,
            is_paused=bool(is_paused),
            ready=ready,
            scheduled=scheduled,
            blocked=blocked,
            running=running,
            dead=dead,
            oldest_age=oldest_age,
        )
        for name, is_paused, ready, scheduled, blocked, running, dead, oldest_age in connection.execute(
            _STATUSES, {"now": now, "aging": AGING}
        )
    ]


def pause(session: Session, queue: str, *, is_paused: bool) -> None:
    """Claim nothing from *queue*, or again."""
    session.connection.execute(_PAUSE, (queue, is_paused))
    session.woken.add(queue)


def limit(session: Session, queue: str, limits: QueueLimits) -> None:
    """Set limits."""
    tokens = None if limits.rate is None else limits.largest_burst
    session.connection.execute(
        _LIMIT,
        {
            "queue": queue,
            "rate": limits.rate,
            "burst": limits.burst,
            "concurrency": limits.concurrency,
            "tokens": tokens,
            "now": session.now,
        },
    )
    session.woken.add(queue)


def dead(connection: apsw.Connection, which: DeadFilter) -> list[DeadGroup]:
    """Return dead items by queue and code, the largest group first."""
    return [
        DeadGroup(queue=queue, code=code, items=items, first_at=first_at, last_at=last_at, error=error)
        for queue, code, items, first_at, last_at, error in connection.execute(_DEAD, _bindings(which))
    ]


def _bindings(which: DeadFilter) -> dict[str, Any]:
    return {"queue": which.queue, "job": which.job, "code": which.code, "before": which.before}


def redrive(session: Session, which: DeadFilter, limit: int) -> int:
    """Let dead items run again; return how many."""
    outcomes, chunks, keys, redriven = Outcomes(session), [], set(), 0
    found = session.connection.execute(_DEAD_CHUNKS, _bindings(which))
    for identity, job, places, items, queue, key in found:
        if redriven >= limit:
            break
        outcomes.take_back(job, runs_from_text(places), items)
        chunks.append(identity)
        keys.add((queue, key))
        redriven += items
    session.connection.execute(_REDRIVE, {"now": session.now, "aging": AGING, "chunks": ids_text(chunks)})
    outcomes.write()
    unblock(session, keys_of(keys))
    session.woken.update(queue for queue, _ in keys)
    return redriven
