"""What is seen of the store in memory: pages of jobs, dead items by code, how queues stand."""

from __future__ import annotations

from gristmill.model.job import JobPage, JobState
from gristmill.model.queue import DeadFilter, DeadGroup, QueueStatus
from gristmill.queue.memory.tables import ChunkRow, QueueRow, Tables


def page_of(
    tables: Tables, *, queue: str | None, state: JobState | None, before: int | None, limit: int
) -> JobPage:
    """Return jobs, newest first, those with a number below *before*."""
    rows = sorted(tables.jobs.values(), key=lambda row: -row.number)
    found = [
        (row.number, job)
        for row in rows
        if (before is None or row.number < before) and (queue is None or row.new.queue == queue)
        for job in [tables.job(row)]
        if state is None or job.state is state
    ]
    page = found[:limit]
    following = str(page[-1][0]) if len(found) > limit else None
    return JobPage(jobs=tuple(job for _, job in page), cursor=following)


def dead_rows(tables: Tables, which: DeadFilter) -> list[ChunkRow]:
    """Return the chunks of dead items that *which* matches."""
    return [
        row
        for row in tables.chunks.values()
        if row.is_dead
        and which.queue in (None, row.queue)
        and which.job in (None, row.new.job)
        and which.code in (None, row.new.code)
        and (which.before is None or (row.dead_at or 0.0) < which.before)
    ]


def dead_groups(tables: Tables, which: DeadFilter) -> list[DeadGroup]:
    """Return them by queue and code, the largest group first."""
    groups: dict[tuple[str, str], list[ChunkRow]] = {}
    for row in dead_rows(tables, which):
        groups.setdefault((row.queue, row.new.code or ""), []).append(row)
    found = [
        DeadGroup(
            queue=queue,
            code=code,
            items=sum(row.new.items for row in rows),
            first_at=min(row.dead_at or 0.0 for row in rows),
            last_at=max(row.dead_at or 0.0 for row in rows),
            error=rows[-1].new.error,
        )
        for (queue, code), rows in groups.items()
    ]
    return sorted(found, key=lambda group: -group.items)


def status_of(tables: Tables, name: str, now: float) -> QueueStatus:
    """Return how the queue *name* stands at *now*."""
    rows = [row for row in tables.chunks.values() if row.queue == name]
    live = [row for row in rows if row.is_live and not tables.jobs[row.new.job].is_receiving]
    due = [row for row in live if row.due_at <= now and not row.is_blocked]
    return QueueStatus(
        name=name,
        is_paused=(tables.queues.get(name) or QueueRow()).is_paused,
        ready=sum(row.new.items for row in due),
        scheduled=sum(row.new.items for row in live if row.due_at > now and not row.is_blocked),
        blocked=sum(row.new.items for row in live if row.is_blocked),
        running=sum(row.new.items for row in rows if row.lease is not None),
        dead=sum(row.new.items for row in rows if row.is_dead),
        oldest_age=max((now - row.due_at for row in due), default=0.0),
    )
