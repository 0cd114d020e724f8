"""Jobs as they stand, what they left, and their ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence

from gristmill.errors import JobNotFinal
from gristmill.model.chunk import Chunk, each_place, pick, runs_from_text, runs_of, runs_to_text
from gristmill.model.job import Job, JobPage, JobState, ids_from_json, page_number
from gristmill.model.lease import Result, ResultKind
from gristmill.queue.redis.links import Links
from gristmill.queue.redis.records import JOB_FIELDS, chunks_from, id_text, job_from, pack, results_from

AT_ONCE = 1000
"""Chunks, and jobs, of one call: the server does nothing else meanwhile."""

_LOOKED_AT = 20_000  # jobs of one page of a state: it may be shorter than asked for, with a cursor


class Jobs:
    """The jobs of a store."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def job(self, job: str) -> Job | None:
        """Return a job as it stands."""
        return job_from(job, await self._links.read("HMGET", f"job:{job}", *JOB_FIELDS))

    async def ids(self, job: str) -> list[str | None]:
        """Return the caller's ids."""
        (found,) = await self._links.read("HMGET", f"job:{job}", "ids")
        return ids_from_json(found)

    async def page(
        self, *, queue: str | None, state: JobState | None, cursor: str | None, limit: int
    ) -> JobPage:
        """Return jobs, newest first; fewer than *limit* with a cursor if a state is rare."""
        is_indexed = state is not None and not state.is_final
        index = "live" if is_indexed else "jobs" if queue is None else f"jobs:{queue}"
        found: list[tuple[str, Job]] = []
        below = "+inf" if cursor is None else str(page_number(cursor))
        looked_at, size = 0, limit + 1 if state is None else AT_ONCE
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
        return list(chunks_from(await self._links.run("todo", job, id_text(after), limit)))

    async def cancel(self, job: str) -> bool:
        """Cancel what is not running; a large job in several calls, the first of which decides."""
        while (reply := await self._links.run("cancel", job, AT_ONCE)) > 1:
            pass
        return bool(reply)

    async def cancel_items(self, job: str, places: Sequence[int]) -> int:
        """Cancel items that are not running."""
        wanted, cancelled = frozenset(places), 0
        while ids := [each async for each in self._holding(job, wanted)]:
            found = chunks_from(await self._links.run("read", *ids))
            changes, bodies = _changes(found, wanted)
            count, *changed = await self._links.run("cancel_items", job, pack(changes), *bodies)
            cancelled += count
            if not changed:
                break
        return cancelled

    async def _holding(self, job: str, wanted: frozenset[int]) -> AsyncIterator[bytes]:
        """Yield the ids of chunks that wait and hold a place of *wanted*."""
        after = id_text(0)
        while reply := await self._links.run("places", job, after, AT_ONCE):
            for at in range(0, len(reply), 2):
                if not wanted.isdisjoint(each_place(runs_from_text(reply[at + 1]))):
                    yield reply[at]
            after = reply[-2]

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

    async def prune(self, queue: str, *, older_than: float, limit: int) -> int:
        """Delete old jobs of a queue, and uploads, some at a time."""
        pruned = 0
        while pruned < limit:
            some = min(limit - pruned, AT_ONCE // 10)
            gone, is_more = await self._links.run("prune", queue, older_than, some, AT_ONCE)
            pruned += gone
            if gone < some and not is_more:
                break
        return pruned


def _changes(chunks: Iterable[Chunk], wanted: frozenset[int]) -> tuple[list[tuple[object, ...]], list[bytes]]:
    """Return what ``cancel_items.lua`` takes: a change for each chunk, and the bodies of what they keep."""
    changes: list[tuple[object, ...]] = []
    bodies: list[bytes] = []
    for chunk in chunks:
        here = tuple(each_place(chunk.places))
        gone = [place for place in here if place in wanted]
        if not gone:  # somebody else cancelled them meanwhile
            continue
        kept = [index for index, place in enumerate(here) if place not in wanted]
        kept_places: str | bool = False
        if kept:
            thinner = pick(chunk, kept)
            kept_places = runs_to_text(thinner.places)
            bodies.append(thinner.body)
        change = (len(gone), runs_to_text(runs_of(gone)), kept_places, len(kept))
        changes.append((id_text(chunk.id), runs_to_text(chunk.places), *change))
    return changes, bodies
