"""Jobs without keys and ids of their own, stored by a few statements for all of them.

A statement gives the interpreter to another thread and takes it back, which
is most of what a small job costs: so many rows go into one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.queue.sqlite.rows import READY, JobRow, row_of
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.statements import repeated, statement

_TAKEN = statement("numbers_taken")
_JOBS = repeated("jobs_insert")
_CHUNKS = repeated("chunks_insert")
_BODIES = repeated("bodies_insert")

_ROWS = (64, 8, 1)  # of one statement: a few texts, so that each is compiled once


def are_plain(jobs: Sequence[tuple[NewJob, Sequence[NewChunk]]]) -> bool:
    """Tell whether all of *jobs* are to be stored here."""
    for job, chunks in jobs:  # loops: a call has one small job, mostly
        if job.unique is not None or job.ids is not None:
            return False
        for chunk in chunks:
            if chunk.key is not None:
                return False
    return True


class PlainJobs:
    """Gathers jobs of one transaction and stores them; one whose id is taken makes ``write`` raise."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._jobs: list[tuple[Any, ...]] = []
        self._chunks: list[tuple[Any, ...]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._number = self._chunk = 0

    def add(self, job: NewJob, chunks: Sequence[NewChunk]) -> None:
        """Take *job*, for which ``are_plain`` is true."""
        session = self._session
        if not self._jobs:
            self._number, self._chunk = session.connection.execute(_TAKEN).get
        self._number += 1
        now, total = session.now, 0
        for chunk in chunks:
            total += chunk.items
        due_at, finished_at = job.due_at(now), None if total else now
        row = JobRow(self._number, job.queue, job.priority)
        self._jobs.append(
            (
                *(self._number, job.id, job.queue, job.priority, job.keep_results),
                *(now, due_at, now, finished_at, total),
            )
        )
        for chunk in chunks:
            self._chunk += 1
            *values, body = row_of(session, row, chunk, due_at=due_at, state=READY)
            self._chunks.append((self._chunk, *values))
            self._bodies.append((self._chunk, body))
        session.woken.add(job.queue)

    def write(self) -> None:
        """Store what was added."""
        for of_rows, rows in ((_JOBS, self._jobs), (_CHUNKS, self._chunks), (_BODIES, self._bodies)):
            self._insert(of_rows, rows)
        self._jobs, self._chunks, self._bodies = [], [], []

    def _insert(self, of_rows: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> None:
        start = 0
        for count in _ROWS:
            while len(rows) - start >= count:
                values = [value for row in rows[start : start + count] for value in row]
                self._session.connection.execute(of_rows(count), values)
                start += count
