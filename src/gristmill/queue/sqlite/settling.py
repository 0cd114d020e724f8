"""What becomes of leases: renewed, settled, released, taken over."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.model.chunk import NewChunk, runs_from_text
from gristmill.model.lease import Claim, Settled, Settlement
from gristmill.queue.sqlite.rows import JobRow, Outcomes, chunks_of_lease, ids_text, keys_of, put, unblock
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import statement

_FIND = statement("lease_find")
_SETTLE = statement("settle_lease")
_JOBS = statement("settle_jobs")
_REMOVE_CHUNKS = statement("settle_remove")
_RENEW = statement("lease_renew")
_EXPIRED = statement("lease_expired")
_FORGET = statement("lease_remove")
_MOVE = statement("lease_move")
_OPEN = statement("lease_insert")
_CANCELLED = statement("lease_cancelled")
_RELEASE = statement("lease_release")
_REMOVE_CHUNK = statement("chunk_remove")


def settle(session: Session, settlement: Settlement) -> Settled:
    """Record all that became of a claim, as ``Store.settle`` says."""
    connection, lease = session.connection, settlement.lease
    found = connection.execute(_FIND, (lease,)).fetchone()
    if found is None:  # dead only once somebody took it over: until then nobody else has the items
        return Settled.STALE
    if found[1] is not None:
        return Settled.DUPLICATE
    connection.execute(_SETTLE, (session.now, lease))
    rows = list(connection.execute(_JOBS, (lease,)))
    connection.execute(_REMOVE_CHUNKS, {"lease": lease})
    outcomes = Outcomes(session)
    jobs = {row[0]: JobRow(*row[1:4]) for row in rows}
    for job in jobs.values():
        outcomes.of(job.number)
    _put_again(session, outcomes, settlement.chunks, jobs, {row[0] for row in rows if row[4]})
    for result in settlement.results:
        outcomes.add(jobs[result.job].number, result)
    outcomes.write()
    unblock(session, set(keys_of((row[2], row[5]) for row in rows)))
    session.woken.add(found[0])
    return Settled.SETTLED


def _put_again(
    session: Session,
    outcomes: Outcomes,
    chunks: Sequence[NewChunk],
    jobs: dict[str, JobRow],
    cancelled: set[str],
) -> None:
    """Store *chunks* anew; those of *cancelled* jobs that would run become cancelled items."""
    for chunk in chunks:
        job = jobs[chunk.job]
        if chunk.code is None and chunk.job in cancelled:
            outcomes.cancel(job.number, chunk.places, chunk.items)
        else:
            put(session, job, [chunk], due_at=session.now)


def renew(session: Session, leases: Sequence[int], seconds: float) -> set[int]:
    """Extend leases, and return those that are lost."""
    kept = session.connection.execute(_RENEW, (session.now + seconds, ids_text(leases)))
    return set(leases).difference(*kept.fetchall())


def release(session: Session, lease: int) -> bool:
    """Give chunks back as they were; those of cancelled jobs are cancelled."""
    connection = session.connection
    found = connection.execute(_FIND, (lease,)).fetchone()
    if found is None or found[1] is not None:
        return False
    drop(session, list(connection.execute(_CANCELLED, (lease,))))
    connection.execute(_RELEASE, (lease,))
    connection.execute(_FORGET, (lease,))
    session.woken.add(found[0])
    return True


def drop(
    session: Session, rows: Sequence[tuple[int, int, str, int, str, str | None]], touched: Sequence[int] = ()
) -> None:
    """Remove chunks, given as (id, job, places, items, queue, key), and cancel their items.

    Jobs in *touched* are final afterwards if they have nothing left.
    """
    outcomes = Outcomes(session)
    for job in touched:
        outcomes.of(job)
    for identity, job, places, items, _, _ in rows:
        session.connection.execute(_REMOVE_CHUNK, {"chunk": identity})
        outcomes.cancel(job, runs_from_text(places), items)
    outcomes.write()
    unblock(session, set(keys_of((row[4], row[5]) for row in rows)))


def take_over(session: Session, worker: str, seconds: float) -> Claim | None:
    """Turn the lease that died first into a new one with the same chunks."""
    connection = session.connection
    found = connection.execute(_EXPIRED, (session.now,)).fetchone()
    if found is None:
        return None
    dead, queue = found
    connection.execute(_FORGET, (dead,))
    connection.execute(_OPEN, (queue, worker, session.now + seconds))
    lease = connection.last_insert_rowid()
    connection.execute(_MOVE, (lease, dead))
    return Claim(lease=lease, queue=queue, chunks=chunks_of_lease(connection, lease))
