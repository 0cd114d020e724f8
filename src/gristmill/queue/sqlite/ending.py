"""Jobs that end before their time, and jobs that go: cancelled, deleted, pruned."""

from __future__ import annotations

from collections.abc import Collection

from gristmill.errors import JobNotFinal
from gristmill.model.chunk import each_place, pick, runs_from_text, runs_to_text
from gristmill.queue.sqlite.incoming import remove
from gristmill.queue.sqlite.rows import Outcomes, chunk_of, keys_of, unblock
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.settling import drop
from gristmill.queue.sqlite.statements import statement
from gristmill.queue.store import ABANDONED

_FIND = statement("job_find")
_CANCEL = statement("job_cancel")
_WAITING = statement("job_waiting")
_CHUNK = statement("chunk_read")
_SHRINK = statement("chunk_shrink")
_REMOVE_CHUNK = statement("chunk_remove")
_OLD = statement("prune_jobs")
_PRUNE_REST = statement("prune_rest")

_FREE_PAGES = statement("free_pages")
_GIVE_BACK = statement("free_pages_return")

SPARE_PAGES = 4096
"""Free pages that the file keeps for what comes next; a pruning gives some of the others back to the disk."""

REMEMBERED = 3600.0
"""Seconds for which a settled lease is known."""


def cancel(session: Session, job: str) -> bool:
    """Cancel what of a job is not running."""
    found = session.connection.execute(_FIND, (job,)).fetchone()
    if found is None:
        return False
    number, queue, finished_at = found
    if finished_at is not None:
        return True
    session.connection.execute(_CANCEL, (number,))
    drop(session, list(session.connection.execute(_WAITING, (number,))), touched=[number])
    session.woken.add(queue)
    return True


def cancel_items(session: Session, job: str, places: Collection[int]) -> int:
    """Cancel single items that are not running; return how many."""
    found = session.connection.execute(_FIND, (job,)).fetchone()
    if found is None:
        return 0
    number, queue, _ = found
    outcomes, freed, cancelled = Outcomes(session), set(), 0
    for identity, _, text, _, _, key in list(session.connection.execute(_WAITING, (number,))):
        here = list(each_place(runs_from_text(text)))
        gone = tuple((place, 1) for place in here if place in places)
        if not gone:
            continue
        kept = [index for index, place in enumerate(here) if place not in places]
        if kept:
            _shrink(session, identity, kept)
        else:
            session.connection.execute(_REMOVE_CHUNK, {"chunk": identity})
            freed.add((queue, key))
        outcomes.cancel(number, gone, len(gone))
        cancelled += len(gone)
    outcomes.write()
    unblock(session, keys_of(freed))
    session.woken.add(queue)
    return cancelled


def _shrink(session: Session, chunk: int, kept: list[int]) -> None:
    (row,) = session.connection.execute(_CHUNK, (chunk,))
    less = pick(chunk_of(row), kept)
    session.connection.execute(
        _SHRINK, (runs_to_text(less.places), less.items, len(less.body), chunk, less.body, chunk)
    )


def delete(session: Session, job: str) -> bool:
    """Remove a final job."""
    found = session.connection.execute(_FIND, (job,)).fetchone()
    if found is None:
        return False
    if found[2] is None:
        raise JobNotFinal(f"job {job} is not final; cancel it first, or wait")
    remove(session, found[0])
    return True


def prune(session: Session, queue: str, older_than: float, limit: int) -> int:
    """Delete old jobs of a queue, and uploads, and forget keys and leases that are of no more use."""
    now = session.now
    wanted = {"queue": queue, "before": now - older_than, "idle_since": now - ABANDONED, "limit": limit}
    old = [int(number) for (number,) in list(session.connection.execute(_OLD, wanted))]
    for number in old:
        remove(session, number)
    session.connection.execute(_PRUNE_REST, {"settled_before": now - REMEMBERED, "now": now})
    spare = session.connection.execute(_FREE_PAGES).get
    if isinstance(spare, int) and spare > SPARE_PAGES:
        session.connection.execute(_GIVE_BACK).fetchall()  # a row, and a step, for each page
    return len(old)
