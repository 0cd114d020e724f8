"""Jobs that come in: whole ones, and uploads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeAlias

from gristmill.errors import JobNotFound
from gristmill.model.chunk import NewChunk
from gristmill.model.job import Enqueued, NewJob
from gristmill.model.lease import NewResult
from gristmill.queue.sqlite.message import JointWork
from gristmill.queue.sqlite.plain_jobs import PlainJobs, are_plain
from gristmill.queue.sqlite.rows import RECEIVING, JobRow, Outcomes, put, unblock
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement
from gristmill.queue.store import ABANDONED

_INSERT = statement("job_insert")
_INSERT_IDS = statement("ids_insert")
_HOLDER = statement("unique_holder")
_TAKE = statement("unique_insert")
_UPLOAD = statement("upload_find")
_GROW = statement("upload_grow")
_COMMIT = statement("upload_commit")
_KEYS = statement("job_keys")
_REMOVE = statement("job_remove")


NewJobs: TypeAlias = Sequence[tuple[NewJob, Sequence[NewChunk]]]


def size_of(jobs: NewJobs) -> int:
    """Return about how many bytes *jobs* take."""
    size = 0
    for job, chunks in jobs:  # loops: a call has one small job, mostly
        if job.ids is not None:
            size += len(job.ids)
        for chunk in chunks:
            size += len(chunk.body)
    return size


def enqueue(session: Session, jobs: NewJobs) -> list[Enqueued]:
    """Store whole jobs."""
    session.need_room(size_of(jobs))
    return [_store(session, job, chunks) for job, chunks in jobs]


class Enqueue(JointWork[Session, list[Enqueued]]):
    """Stores whole jobs; those of several callers by statements for all of them."""

    def __init__(self, jobs: NewJobs) -> None:
        self.jobs = jobs
        self.size = size_of(jobs)

    def __call__(self, session: Session) -> list[Enqueued]:
        """Store the jobs of one caller."""
        return enqueue(session, self.jobs)

    @classmethod
    def together(cls, session: Session, works: Sequence[Self]) -> list[list[Enqueued]]:
        """Store the jobs of many callers, in their order."""
        session.need_room(sum(work.size for work in works))
        answers: list[list[Enqueued]] = []
        plain = PlainJobs(session)
        for work in works:
            if are_plain(work.jobs):
                for job, chunks in work.jobs:
                    plain.add(job, chunks)
                answers.append([Enqueued(job=job.id, created=True) for job, _ in work.jobs])
            else:
                plain.write()
                answers.append([_store(session, job, chunks) for job, chunks in work.jobs])
        plain.write()
        return answers


def begin(session: Session, job: NewJob) -> Enqueued:
    """Store a job for an upload."""
    session.need_room(size_of([(job, ())]))
    return _store(session, job, (), is_receiving=True)


def _store(
    session: Session, job: NewJob, chunks: Sequence[NewChunk], *, is_receiving: bool = False
) -> Enqueued:
    held = _holder(session, job)
    if held is not None:
        return held
    now, total = session.now, sum(chunk.items for chunk in chunks)
    due_at = job.due_at(now)
    finished_at = now if not total and not is_receiving else None
    unique = job.unique
    if unique is not None and unique.seconds is None and finished_at is not None:
        unique = None
    until_final = unique.key if unique is not None and unique.seconds is None else None
    number = session.connection.execute(
        _INSERT,
        (
            *(job.id, job.queue, job.priority, job.keep_results),
            *(now, due_at, now, finished_at, is_receiving, total, until_final),
        ),
    ).get
    if number is None:
        return Enqueued(job=job.id, created=False)
    if job.ids is not None:
        session.connection.execute(_INSERT_IDS, (number, job.ids))
    if unique is not None:
        until = None if unique.seconds is None else now + unique.seconds
        session.connection.execute(_TAKE, (job.queue, unique.key, number, until, unique.fingerprint))
    put(session, JobRow(number, job.queue, job.priority), chunks, due_at=due_at)
    session.woken.add(job.queue)
    return Enqueued(job=job.id, created=True)


def _holder(session: Session, job: NewJob) -> Enqueued | None:
    """Return the job that *job* would double by its unique key; its insertion tells of a double id.

    An upload that its process abandoned is removed, and holds the key no more.
    """
    if job.unique is None:
        return None
    now = session.now
    wanted = {
        "id": job.id,
        "queue": job.queue,
        "key": job.unique.key,
        "now": now,
        "idle_since": now - ABANDONED,
    }
    found = session.connection.execute(_HOLDER, wanted).fetchone()
    if found is None:
        return None
    holder, fingerprint, is_itself, abandoned = found
    if abandoned is not None:
        remove(session, abandoned)
        return None
    matches = bool(is_itself) or job.unique.fingerprint in {None, fingerprint}
    return Enqueued(job=holder, created=False, matches=matches)


def _receiving(session: Session, job: str) -> tuple[JobRow, float, int]:
    """Return a job that receives items, when it is due, and how many items it has."""
    found = session.connection.execute(_UPLOAD, (job,)).fetchone()
    if found is None:
        raise JobNotFound(f"there is no job {job} that receives items")
    number, queue, priority, due_at, total = found
    return JobRow(number, queue, priority), due_at, total


def add(session: Session, job: str, chunks: Sequence[NewChunk], refused: Sequence[NewResult]) -> None:
    """Store more items of an upload, and results of those that can never run."""
    session.need_room(sum(len(chunk.body) for chunk in chunks))
    row, due_at, _ = _receiving(session, job)
    items = sum(chunk.items for chunk in chunks) + sum(result.items for result in refused)
    session.connection.execute(_GROW, (items, session.now, row.number))
    put(session, row, chunks, due_at=due_at, state=RECEIVING)
    outcomes = Outcomes(session)
    for result in refused:
        outcomes.add(row.number, result)
    outcomes.write()


def commit(session: Session, job: str) -> None:
    """Let the items of an upload run."""
    row, _, _ = _receiving(session, job)
    session.connection.execute(_COMMIT, {"job": row.number})
    outcomes = Outcomes(session)
    outcomes.of(row.number)
    outcomes.write()
    session.woken.add(row.queue)


def abort(session: Session, job: str) -> None:
    """Remove an upload; harmless if there is none."""
    found = session.connection.execute(_UPLOAD, (job,)).fetchone()
    if found is not None:
        remove(session, found[0])


def remove(session: Session, number: int) -> None:
    """Remove a job with all it has, and let what stood behind its chunks run."""
    keys = list(session.connection.execute(_KEYS, (number,)))
    session.connection.execute(_REMOVE, {"job": number})
    unblock(session, keys)
    session.woken.update(queue for queue, _ in keys)
