"""What may be asked of the jobs in a store, and of its queues and dead items, with an App or without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from gristmill.errors import ConfigurationError, ItemNotFound, JobNotFound
from gristmill.model.job import Job, JobPage, JobState
from gristmill.model.lease import ResultKind
from gristmill.model.queue import DeadFilter, DeadGroup, QueueStatus
from gristmill.model.texts import check_key, check_name, short_code
from gristmill.queue.ids import is_job_id
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.reading import ItemResult, as_settled, in_order, read_place
from gristmill.queue.store import Store
from gristmill.queue.url import check_url, store_from, without_password

_AT_ONCE = 1_000_000
"""Dead items that are let run again in one transaction, at about the most."""


class StoredJobs:
    """The jobs in a store, to look at and to change.

    Args:
        url: Of the store, or the store itself.
    """

    def __init__(self, url: str | Store) -> None:
        self._url = check_url(url) if isinstance(url, str) else url.url
        self._is_named = isinstance(url, str)
        self._store = None if isinstance(url, str) else url
        self._opening: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        """Show where the jobs are."""
        return f"<{type(self).__name__} in {self.url}>"

    @property
    def store(self) -> Store:
        """The store, made when it is first needed: its package may not be installed where no job is used."""
        if self._store is None:
            self._store = store_from(self._url)
        return self._store

    @property
    def url(self) -> str:
        """Where the jobs are, without the password."""
        return without_password(self._url)

    # -- life

    async def ping(self) -> None:
        """Ask the store something; raises ``StoreError`` while it cannot answer."""
        await self.open()
        await self.store.now()

    @property
    def _file(self) -> Path | None:
        parts = urlsplit(self._url)
        return Path(parts.path.removeprefix("/")) if parts.scheme == "sqlite" else None

    @property
    def is_new(self) -> bool:
        """Whether the store is an SQLite file that does not exist yet: then there is nothing to work on."""
        return self._file is not None and not self._file.exists()

    @property
    def is_brief(self) -> bool:
        """Whether the store is in the memory of this process, by its URL: it ends when that does."""
        return self._is_named and self._url.startswith("memory:")

    def check_folder(self) -> None:
        """Refuse, by ``ConfigurationError``, an SQLite file whose folder does not exist."""
        folder = None if self._file is None else self._file.parent.absolute()
        if folder is not None and not folder.is_dir():
            raise ConfigurationError(f"the folder of the store does not exist; create it first: {folder}")

    async def open(self) -> None:
        """Open the store once; every method does it when it is needed.

        Raises:
            StoreError: It cannot be used; the next call tries again.
        """
        if self._opening is not None and self._opening.done():
            if _is_good(self._opening):
                return
            self._opening = None
        if self._opening is None:
            self._opening = asyncio.ensure_future(self.store.open())
        await asyncio.shield(self._opening)

    async def _close(self) -> None:
        """Close the store, if it was opened; whatever is asked afterwards opens it anew."""
        opening, self._opening = self._opening, None
        if opening is None:
            return
        await asyncio.wait([opening])
        await self.store.close()
        if self._is_named and not isinstance(self._store, MemoryStore):
            self._store = None

    # -- jobs

    async def get(self, job: str) -> Job:
        """Return a job as it stands; raises ``JobNotFound``."""
        await self.open()
        found = await self._found(job)
        if found is None:
            raise JobNotFound(f"there is no job {job}")
        return found

    async def _found(self, job: str) -> Job | None:
        """Return *job*, or None; what cannot be an id is not asked for: a store may not take it."""
        return await self.store.job(job) if is_job_id(job) else None

    async def ids(self, job: str) -> Sequence[str | None]:
        """Return the caller's id of each item, by place; empty if it gave none, or there is no such job."""
        await self.open()
        return await self.store.ids(job) if is_job_id(job) else []

    async def wait(self, job: str, *, timeout: float | None = None) -> Job:
        """Return *job* once it is final; raises ``TimeoutError`` after *timeout* seconds, ``JobNotFound``."""
        async with asyncio.timeout(timeout):
            pause = 0.01
            while not (found := await self.get(job)).state.is_final:
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 1.5)
        return found

    async def list(
        self,
        *,
        handler: str | None = None,
        state: JobState | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> JobPage:
        """Return jobs, newest first."""
        check_name("handler", handler)
        if limit < 1:
            raise ConfigurationError(f"limit is how many jobs at most, 1 or more, not {limit}")
        await self.open()
        return await self.store.jobs(queue=handler, state=state, cursor=cursor, limit=limit)

    async def results(
        self,
        job: str,
        *,
        ordered: bool = False,
        after: str | None = None,
        kind: ResultKind | None = None,
    ) -> AsyncIterator[ItemResult]:
        """Yield the outcomes there are now, also while the job runs.

        Args:
            job: Its id; raises ``JobNotFound``, in the end, too, if it was removed meanwhile.
            ordered: In the order of the items, up to the first that has no outcome yet, instead of the order
                of settling. An item that was redriven has its latest outcome then, and none until it has run.
            after: The ``cursor`` of the last result that was read, in the same order.
            kind: Only those that succeeded, failed or were cancelled; not with *ordered*.
        """
        if ordered and kind is not None:
            raise ConfigurationError("ordered results are of every kind")
        first = 0 if after is None or not ordered else read_place(after)
        found = await self.get(job)
        ids = await self.ids(job)
        reader = (
            in_order(self.store, job, found.counts.total, first=first, ids=ids)
            if ordered
            else as_settled(self.store, job, after=after, kind=kind, ids=ids)
        )
        async for item in reader:
            yield item
        await self.get(job)  # else it was removed meanwhile, and what was read is not all

    async def unprocessed(self, job: str) -> AsyncIterator[bytes]:
        """Yield the JSON of the items that no batch has taken, as they came; raises ``JobNotFound``."""
        await self.get(job)
        after = 0
        while chunks := await self.store.unprocessed(job, after=after):
            for chunk in chunks:
                for text in chunk.raws():
                    yield text
            after = chunks[-1].id

    async def cancel(self, job: str, *, items: Sequence[int] | None = None) -> bool:
        """Cancel what of *job*, or of its *items*, is not running; False if there is no such job.

        Raises:
            ItemNotFound: It has no item at one of these places; none was cancelled.
        """
        await self.open()
        if items is None:
            return is_job_id(job) and await self.store.cancel(job)
        found = await self._found(job)
        if found is None:
            return False
        for place in items:
            if not 0 <= place < found.counts.total:
                raise ItemNotFound(f"{job} has no item {place}: it has {found.counts.total}, the first is 0")
        await self.store.cancel_items(job, items)
        return True

    async def retry(self, job: str) -> int:
        """Let the failed items of *job* run again; return how many; raises ``JobNotFound``."""
        await self.get(job)
        return await self._redriven(DeadFilter(job=job))

    async def delete(self, job: str) -> bool:
        """Remove a final job and its results; False if there is none; raises ``JobNotFinal``."""
        await self.open()
        return is_job_id(job) and await self.store.delete(job)

    # -- queues and dead items

    def _check_queue(self, name: str) -> None:
        """Refuse what cannot be the name of a queue."""
        check_name("handler", name)

    async def queues(self) -> Sequence[QueueStatus]:
        """Return how every queue stands."""
        await self.open()
        return await self.store.queues()

    async def pause(self, handler: str) -> None:
        """Claim nothing from *handler*'s queue, on any machine, until it is resumed."""
        self._check_queue(handler)
        await self.open()
        await self.store.pause(handler)

    async def resume(self, handler: str) -> None:
        """Claim from *handler*'s queue again."""
        self._check_queue(handler)
        await self.open()
        await self.store.resume(handler)

    async def dead(
        self,
        *,
        handler: str | None = None,
        job: str | None = None,
        code: str | None = None,
        before: float | None = None,
    ) -> Sequence[DeadGroup]:
        """Return dead items by handler and code, the largest group first, all or those that match."""
        which = _filter(handler, job, code, before)
        await self.open()
        return await self.store.dead(which)

    async def redrive(
        self,
        *,
        handler: str | None = None,
        job: str | None = None,
        code: str | None = None,
        before: float | None = None,
    ) -> int:
        """Let dead items run again, all or those that match; return how many."""
        which = _filter(handler, job, code, before)
        await self.open()
        return await self._redriven(which)

    async def _redriven(self, which: DeadFilter) -> int:
        """Let all items run again that match now; not those that die again while others are still moved."""
        before = await self.store.now()
        total = moved = await self.store.redrive(which, limit=_AT_ONCE)
        while moved >= _AT_ONCE:
            earlier = before if which.before is None else min(which.before, before)
            moved = await self.store.redrive(replace(which, before=earlier), limit=_AT_ONCE)
            total += moved
        return total


def _is_good(opening: asyncio.Future[None]) -> bool:
    return not opening.cancelled() and opening.exception() is None


def _filter(handler: str | None, job: str | None, code: str | None, before: float | None) -> DeadFilter:
    check_name("handler", handler)
    check_name("job", job)
    if code is not None:
        check_key("code", code)
    short = None if code is None else short_code(code)
    return DeadFilter(queue=handler, job=job, code=short, before=before)
