"""Jobs to look at: read from the reader's connection."""

from __future__ import annotations

from typing import Any, NamedTuple

import apsw

from gristmill.model.chunk import Chunk, runs_from_text
from gristmill.model.job import Job, JobCounts, JobPage, JobState, ids_from_json, page_number, state_of
from gristmill.model.lease import Result, ResultKind, kind_from
from gristmill.queue.sqlite.rows import chunk_of
from gristmill.queue.sqlite.statements import statement

_JOB = statement("job_read")
_IDS = statement("ids_read")
_ALL = statement("jobs_all")
_IN_STATE = {state: statement(f"jobs_{state.value}") for state in JobState}
_OF_QUEUE = {None: statement("jobs_of_queue"), JobState.COMPLETED: statement("jobs_of_queue_completed")}
_RESULTS = statement("results_after")
_BETWEEN = statement("results_between")
_UNPROCESSED = statement("job_unprocessed")

_NEWEST = 2**63 - 1


class JobsWanted(NamedTuple):
    """Which page of jobs is asked for."""

    queue: str | None
    state: JobState | None
    cursor: str | None
    limit: int


def job(connection: apsw.Connection, identity: str) -> Job | None:
    """Return a job as it stands."""
    row = connection.execute(_JOB, (identity,)).fetchone()
    return None if row is None else _job_of(row)


def ids(connection: apsw.Connection, identity: str) -> list[str | None]:
    """Return the caller's ids of a job's items."""
    row = connection.execute(_IDS, (identity,)).fetchone()
    return ids_from_json(None if row is None else row[0])


def jobs(connection: apsw.Connection, wanted: JobsWanted) -> JobPage:
    """Return jobs, newest first."""
    sql = _ALL if wanted.state is None else _IN_STATE[wanted.state]
    if wanted.queue is not None:
        sql = _OF_QUEUE.get(wanted.state, sql)
    before = _NEWEST if wanted.cursor is None else page_number(wanted.cursor)
    bindings = {"queue": wanted.queue, "before": before, "limit": wanted.limit + 1}
    rows = connection.execute(sql, bindings).fetchall()
    page = rows[: wanted.limit]
    return JobPage(
        jobs=tuple(map(_job_of, page)), cursor=str(page[-1][0]) if len(rows) > wanted.limit else None
    )


def _job_of(row: tuple[Any, ...]) -> Job:
    _, identity, queue, priority, created_at, due_at, finished_at, is_receiving, is_cancelled, *numbers = row
    total, succeeded, failed, cancelled, running = numbers
    counts = JobCounts(
        total=total,
        queued=total - succeeded - failed - cancelled - running,
        running=running,
        succeeded=succeeded,
        failed=failed,
        cancelled=cancelled,
    )
    return Job(
        id=identity,
        queue=queue,
        state=state_of(counts, is_receiving=bool(is_receiving), is_cancelled=bool(is_cancelled)),
        counts=counts,
        priority=priority,
        created_at=created_at,
        due_at=due_at,
        finished_at=finished_at,
    )


def results(
    connection: apsw.Connection, identity: str, after: int, kind: ResultKind | None, limit: int
) -> list[Result]:
    """Return results in the order of settling."""
    wanted = {"job": identity, "after": after, "kind": None if kind is None else kind.value, "limit": limit}
    return list(map(_result_of, connection.execute(_RESULTS, wanted)))


def results_between(connection: apsw.Connection, identity: str, first: int, last: int) -> list[Result]:
    """Return the results that hold any of the places from *first* to *last*."""
    found = connection.execute(_BETWEEN, {"job": identity, "first": first, "last": last})
    return [
        result
        for result in map(_result_of, found)
        if any(start <= last and start + count > first for start, count in result.places)
    ]


def _result_of(row: tuple[Any, ...]) -> Result:
    number, kind, places, items, body = row
    return Result(number=number, kind=kind_from(kind), places=runs_from_text(places), items=items, body=body)


def unprocessed(connection: apsw.Connection, identity: str, after: int, limit: int) -> list[Chunk]:
    """Return chunks that no batch has taken."""
    return list(map(chunk_of, connection.execute(_UNPROCESSED, (identity, after, limit))))
