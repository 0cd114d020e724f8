"""Jobs as they stand, what they left, and their ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gristmill.errors import JobNotFinal
from gristmill.model.chunk import Chunk, array, each_place, runs_of, runs_to_text
from gristmill.model.job import Job, JobPage, JobState
from gristmill.model.lease import Result, ResultKind
from gristmill.queue.redis.links import Links
from gristmill.queue.redis.records import (
    JOB_FIELDS,
    ChunkRow,
    chunk_from,
    chunks_from,
    id_text,
    job_from,
    pack,
    results_from,
    row_from,
)

AT_ONCE = 1000
"""Chunks, and jobs, of one call: the server does nothing else meanwhile."""

_LOOKED_AT = 20_000  # jobs of one page of a state: it may be shorter than asked for, with a cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thinning:
    """A chunk that waits, with items to be cancelled."""

    id: int
    row: ChunkRow
    gone: tuple[int, ...]
    kept: tuple[int, ...]  # indices in the chunk


class Jobs:
    """The jobs of a store."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        return job_from(job, await self._links.read("HMGET", f"job:{job}", *JOB_FIELDS))

    async def page(
        self, *, queue: str | None, state: JobState | None, cursor: str | None, limit: int
    ) -> JobPage:
        """Return jobs, newest first; fewer than *limit* with a cursor if a state is rare."""
        is_indexed = state is not None and not state.is_final
        index = "live" if is_indexed else "jobs" if queue is None else f"jobs:{queue}"
        found: list[tuple[str, Job]] = []
        below, looked_at, size = cursor or "+inf", 0, limit + 1 if state is None else AT_ONCE
        while looked_at < _LOOKED_AT:
            reply = await self._links.run("jobs", index, below, size, *JOB_FIELDS)
            for at in range(0, len(reply), 2):
                job = job_from(reply[at].decode(), reply[at + 1])
                below = reply[at + 1][1].decode()
                if job is None or queue not in (None, job.queue) or state not in (None, job.state):
                    continue
                if len(found) == limit:
                    return JobPage(jobs=tuple(job for _, job in found), cursor=found[-1][0])
                found.append((below, job))
            looked_at += size
            if len(reply) < 2 * size:
                return JobPage(jobs=tuple(job for _, job in found), cursor=None)
        return JobPage(jobs=tuple(job for _, job in found), cursor=below)

    async def results(self, job: str, *, after: int, kind: ResultKind | None, limit: int) -> list[Result]:
        """Return results in the order of settling."""
        kinds = [each.value for each in (ResultKind if kind is None else (kind,))]
        return results_from(await self._links.run("results", job, id_text(after), limit, *kinds))

    async def results_between(self, job: str, first: int, last: int) -> list[Result]:
        """Return the results that hold any place from *first* to *last*."""
        found = results_from(await self._links.run("results_between", job, first, last))
        return [
            result
            for result in found
            if any(low <= last and low + count > first for low, count in result.places)
        ]

    async def unprocessed(self, job: str, *, after: int, limit: int) -> list[Chunk]:
        """Return chunks that no batch has taken."""
        return list(chunks_from(await self._links.run("todo", job, id_text(after), limit, 1)))

    async def cancel(self, job: str) -> bool:
        """Cancel what is not running; a large job in several calls, the first of which decides."""
        while (reply := await self._links.run("cancel", job, AT_ONCE)) > 1:
            pass
        return bool(reply)

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel items that are not running."""
        wanted, cancelled = frozenset(places), 0
        while thinnings := [each async for each in self._thinnings(job, wanted)]:
            changes, bodies = await self._changes(thinnings)
            count, *changed = await self._links.run("cancel_items", job, pack(changes), *bodies)
            cancelled += count
            if not changed:
                break
        return cancelled

    async def _thinnings(self, job: str, wanted: frozenset[int]) -> AsyncIterator[_Thinning]:
        after = 0
        while reply := await self._links.run("todo", job, id_text(after), AT_ONCE, 0):
            for at in range(0, len(reply), 3):
                after, row = int(reply[at]), row_from(reply[at + 1])
                here = tuple(each_place(row.runs))
                gone = tuple(place for place in here if place in wanted)
                kept = tuple(index for index, place in enumerate(here) if place not in wanted)
                if gone:
                    yield _Thinning(id=after, row=row, gone=gone, kept=kept)

    async def _changes(self, thinnings: Sequence[_Thinning]) -> tuple[list[tuple[object, ...]], list[bytes]]:
        """Return the changes that ``cancel_items.lua`` takes, and the bodies of what is kept."""
        found = await self._links.read("HMGET", "bodies", *(id_text(each.id) for each in thinnings))
        changes: list[tuple[object, ...]] = []
        bodies: list[bytes] = []
        for each, body in zip(thinnings, found, strict=True):
            if body is None:  # it ran meanwhile
                continue
            gone = (len(each.gone), runs_to_text(runs_of(each.gone)))
            kept_places: str | bool = False
            if each.kept:
                here, raws = tuple(each_place(each.row.runs)), chunk_from(each.id, each.row, body).raws()
                kept_places = runs_to_text(runs_of(here[index] for index in each.kept))
                bodies.append(array(raws[index] for index in each.kept))
            changes.append((id_text(each.id), each.row.places, *gone, kept_places, len(each.kept)))
        return changes, bodies

    async def delete(self, job: str) -> bool:
        """Remove a final job."""
        while (reply := await self._links.run("delete", job, AT_ONCE)) > 1:
            pass
        if reply < 0:
            raise JobNotFinal(f"job {job} is not final; cancel it first, or wait")
        return bool(reply)

    async def abort(self, job: str) -> None:
        """Remove an upload."""
        while await self._links.run("abort", job, AT_ONCE):
            pass

    async def prune(self, *, older_than: float, limit: int) -> int:
        """Delete old jobs and uploads, some at a time."""
        pruned = 0
        while pruned < limit:
            some = min(limit - pruned, AT_ONCE // 10)
            gone, is_more = await self._links.run("prune", older_than, some, AT_ONCE)
            pruned += gone
            if gone < some and not is_more:
                break
        return pruned
