"""The durable queue as an App has it: enqueue, look, cancel, redrive, and the worker beside it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gristmill.batching.handler import BatchHandler
from gristmill.errors import (
    ConfigurationError,
    ItemNotFound,
    JobNotFound,
    UniqueConflict,
    UnknownHandler,
    UploadInFlight,
)
from gristmill.model.job import DEFAULT_PRIORITY, Enqueued, Job, JobPage, JobState, NewJob, Unique
from gristmill.model.lease import ResultKind
from gristmill.model.queue import BreakerStatus, DeadFilter, DeadGroup, QueueStatus
from gristmill.model.texts import check_key, check_name
from gristmill.queue.coding import QueueCodec
from gristmill.queue.ids import JobIds, is_job_id
from gristmill.queue.intake import Intake, ReadySource, Source
from gristmill.queue.job_ref import JobRef
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.options import QueueOptions
from gristmill.queue.reading import ItemResult, as_settled, in_order, read_place
from gristmill.queue.schedule import Schedule, Scheduler
from gristmill.queue.starting import Starting
from gristmill.queue.store import Store
from gristmill.queue.url import check_url, store_from, without_password
from gristmill.queue.worker import Worker


class Jobs:
    """The durable queue of an App.

    Args:
        handlers: Whose items it takes.
        url: Of the store.
        options: name -> how a handler's queue is worked.
        schedules: What is enqueued by the clock.
    """

    def __init__(
        self,
        handlers: Sequence[BatchHandler[Any, Any]],
        url: str | Store,
        *,
        options: Mapping[str, QueueOptions] | None = None,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self._handlers = {handler.name: handler for handler in handlers}
        self._options = dict(options or {})
        self._schedules = schedules
        for name in [*self._options, *(schedule.queue for schedule in schedules)]:
            self._handler(name)
        self._url = check_url(url) if isinstance(url, str) else url.url
        self._is_named = isinstance(url, str)
        self._store = None if isinstance(url, str) else url
        self._ids = JobIds()
        self._intakes: dict[str, Intake] = {}
        self._opening: asyncio.Future[None] | None = None
        self._starting = Starting(self.start)
        self.worker: Worker | None = None

    def __repr__(self) -> str:
        """Show where the jobs are."""
        return f"<Jobs in {self.url}>"

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

    @property
    def retention(self) -> float:
        """Seconds for which a final job is kept: the longest that any of the queues asks for."""
        each = [self._options.get(name, QueueOptions()).retention for name in self._handlers]
        return max(each, default=0.0)

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

    async def start(self, *, queues: Sequence[str] | None = None, name: str | None = None) -> Worker:
        """Open the store and start a worker on this loop; the same one if it runs.

        Args:
            queues: The handlers whose queues it works; all by default.
            name: Of the worker, in the store and the log; made up by default.

        Raises:
            UnknownHandler: There is no handler of a name in *queues*; nothing was opened.
            StoreError: The store cannot be used; the next call tries again.
        """
        handlers = [self._handler(each) for each in (self._handlers if queues is None else queues)]
        await self.open()
        if self.worker is None:
            scheduler = Scheduler(self._schedules, self._fire, self.store.now) if self._schedules else None
            worker = Worker(
                handlers,
                self.store,
                self._options,
                retention=self.retention,
                scheduler=scheduler,
                name=name,
            )
            self.worker = worker  # at once: whoever else starts meanwhile must not make a second one
            try:
                await worker.start()
            except BaseException:
                self.worker = None
                raise
        return self.worker

    async def start_when_there(self, patience: float = 2.0) -> None:
        """Start as ``start`` does, in the background while the store is away.

        Args:
            patience: Seconds after which this returns at the latest.

        Raises:
            StoreError: Waiting does not help: a newer schema, or a store that would lose jobs.
        """
        await self._starting.begin(patience)

    async def stop(self, grace: float = 25.0) -> None:
        """Stop the worker as ``Worker.stop`` does, and close the store. Idempotent.

        Whatever is asked afterwards opens a store anew: an App may serve again.
        """
        await self._starting.stop()
        worker, self.worker = self.worker, None
        if worker is not None:
            await worker.stop(grace)
        opening, self._opening = self._opening, None
        if opening is not None:
            await asyncio.wait([opening])
            await self.store.close()
            if self._is_named and not isinstance(self._store, MemoryStore):
                self._store = None
                self._intakes.clear()

    # -- coming in

    def _handler(self, name: str) -> BatchHandler[Any, Any]:
        found = self._handlers.get(name)
        if found is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            raise UnknownHandler(f"there is no handler {name!r}; there are: {known}")
        return found

    def intake(self, name: str) -> Intake:
        """Return what takes in items for the handler *name*; raises ``UnknownHandler``."""
        found = self._intakes.get(name)
        if found is None:
            handler = self._handler(name)
            options = self._options.get(name, QueueOptions())
            found = self._intakes[name] = Intake(
                handler, QueueCodec(handler), self.store, max_bytes=options.max_bytes
            )
        return found

    async def enqueue(
        self,
        handler: BatchHandler[Any, Any] | str,
        items: Source,
        *,
        priority: int = DEFAULT_PRIORITY,
        delay: float = 0.0,
        run_at: float | dt.datetime | None = None,
        key: str | None = None,
        unique: str | None = None,
        unique_for: float | None = None,
        fingerprint: str | None = None,
        keep_results: bool = True,
        connection: Any = None,
    ) -> JobRef:
        """Store *items* as one job, and return once they are safe.

        Args:
            handler: Of this App, or its name.
            items: Any iterable, or async iterable, of the handler's items; ``msgspec.Raw`` is one's JSON.
            priority: 0 (urgent) to 9; each step is worth a minute of waiting.
            delay: Seconds until it is due.
            run_at: When it is due instead: an aware datetime, or seconds of the epoch.
            key: Jobs and items with the same key run one after another, in order.
            unique: Holds off other jobs of this handler under the same key: they are answered with this one.
            unique_for: Seconds for which *unique* is held; until the job is final by default.
            fingerprint: Of what is submitted: another one under the same *unique* raises ``UniqueConflict``.
            keep_results: Whether the values are stored.
            connection: An ``asyncpg`` or ``apsw`` connection with a transaction open: the job is stored in
                it, and is there when it commits. SQL stores only.

        Raises:
            UnknownHandler, InvalidItem, UniqueConflict: Nothing was stored.
            ConfigurationError: Options do not go together; *key* or *unique* is no text that can be encoded.
            UploadAbandoned: Nor now; this process stood still for too long while it took the items in.
            UploadInFlight: Nor now; what holds *unique* is still being stored, and may come to nothing.
            StoreError: Nothing is known to have been stored; with *unique* it is safe to try again.
        """
        name = handler if isinstance(handler, str) else handler.name
        intake = self.intake(name)
        if unique is None and (unique_for is not None or fingerprint is not None):
            raise ConfigurationError("unique_for and fingerprint need unique")
        job = NewJob(
            id=self._ids.new(),
            queue=name,
            priority=priority,
            delay=delay,
            run_at=_epoch(run_at),
            unique=None
            if unique is None
            else Unique(key=unique, seconds=unique_for, fingerprint=fingerprint),
            keep_results=keep_results,
        )
        await self.open()
        return await self._referred(job, await intake.take(job, items, key=key, connection=connection))

    async def receive(self, job: NewJob, source: ReadySource, *, key: str | None = None) -> JobRef:
        """Store *job* with items that whoever read them has checked, and return once they are safe.

        Args:
            job: Its id is new, its queue that of a handler.
            source: The items; a ``Failure`` among them becomes a failed item of the job.
            key: As for ``enqueue``; raises as that does, and what *source* raises: nothing was stored then.
        """
        intake = self.intake(job.queue)
        await self.open()
        return await self._referred(job, await intake.take_ready(job, source, key=key))

    async def _referred(self, job: NewJob, found: Enqueued) -> JobRef:
        unique = None if job.unique is None else job.unique.key
        if not found.created and await self._is_coming(found.job):
            raise UploadInFlight(
                f"job {found.job} holds the key {unique!r}, and its items are still coming: try again later",
                job=found.job,
            )
        if not found.matches:
            raise UniqueConflict(
                f"job {found.job} holds the key {unique!r} for something else", job=found.job
            )
        if self.worker is None and self._should_work:
            await self.start_when_there()
        return JobRef(self, found.job, created=found.created)

    async def _is_coming(self, job: str) -> bool:
        """Tell whether *job* may still come to nothing."""
        found = await self.store.job(job)
        return found is not None and found.state is JobState.RECEIVING

    _should_work = False

    def work_here(self) -> None:
        """Start a worker with the first job, on the loop that enqueues it, if none runs."""
        self._should_work = True

    async def _fire(
        self, queue: str, items: Sequence[Any], *, priority: int, unique: str, unique_for: float
    ) -> None:
        await self.enqueue(queue, items, priority=priority, unique=unique, unique_for=unique_for)

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
            job: Its id; raises ``JobNotFound``.
            ordered: In the order of the items, up to the first that has no outcome yet, instead of the order
                of settling. An item that was redriven has its latest outcome then.
            after: The ``cursor`` of the last result that was read, in the same order.
            kind: Only those that succeeded, failed or were cancelled; not with *ordered*.
        """
        if ordered and kind is not None:
            raise ConfigurationError("ordered results are of every kind")
        first = 0 if after is None or not ordered else read_place(after)
        found = await self.get(job)
        reader = (
            in_order(self.store, job, found.counts.total, first=first)
            if ordered
            else as_settled(self.store, job, after=after, kind=kind)
        )
        async for item in reader:
            yield item

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
        return await self.store.redrive(DeadFilter(job=job))

    async def delete(self, job: str) -> bool:
        """Remove a final job and its results; False if there is none; raises ``JobNotFinal``."""
        await self.open()
        return is_job_id(job) and await self.store.delete(job)

    # -- queues and dead items

    def _check_queue(self, name: str) -> None:
        """Refuse a queue of no handler; without any handler, as over a bare store, each may be somebody's."""
        check_name("handler", name)
        if self._handlers:
            self._handler(name)

    async def queues(self) -> Sequence[QueueStatus]:
        """Return how every queue stands."""
        await self.open()
        return await self.store.queues()

    def breakers(self) -> Sequence[BreakerStatus]:
        """Return how the circuit breakers of this process stand, one a queue; other workers have theirs."""
        return [] if self.worker is None else [lane.gate.status for lane in self.worker.lanes]

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
        return await self.store.redrive(which)


def _is_good(opening: asyncio.Future[None]) -> bool:
    return not opening.cancelled() and opening.exception() is None


def _filter(handler: str | None, job: str | None, code: str | None, before: float | None) -> DeadFilter:
    check_name("handler", handler)
    check_name("job", job)
    if code is not None:
        check_key("code", code)
    return DeadFilter(queue=handler, job=job, code=code, before=before)


def _epoch(at: float | dt.datetime | None) -> float | None:
    if isinstance(at, dt.datetime):
        if at.tzinfo is None:
            raise ConfigurationError("run_at needs a time zone: datetime.now(timezone.utc) + timedelta(...)")
        return at.timestamp()
    return at
