"""The durable queue as an App has it: enqueue, and the worker beside it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.errors import (
    ConfigurationError,
    StoreError,
    UniqueConflict,
    UnknownHandler,
    UploadInFlight,
)
from gristmill.model.item_ids import check_item_ids
from gristmill.model.job import DEFAULT_PRIORITY, Enqueued, JobState, NewJob, Unique, ids_to_json
from gristmill.model.queue import BreakerStatus
from gristmill.model.texts import check_key, short_key
from gristmill.queue.coding import QueueCodec
from gristmill.queue.ids import JobIds
from gristmill.queue.intake import Intake, ReadySource, Source
from gristmill.queue.job_ref import JobRef
from gristmill.queue.options import QueueOptions
from gristmill.queue.schedule import MADE_UP_FOR, Schedule, Scheduler
from gristmill.queue.starting import Starting
from gristmill.queue.store import Store
from gristmill.queue.stored_jobs import StoredJobs
from gristmill.queue.worker import Worker

_LOOK = 0.5
"""Seconds between looks for a file that nobody has made yet."""


class Jobs(StoredJobs):
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
        super().__init__(url)
        self._ids = JobIds()
        self._intakes: dict[str, Intake] = {}
        self._starting = Starting(lambda: self._start(revives=True))
        self._looking: asyncio.Task[None] | None = None
        self._should_work = False
        self.worker: Worker | None = None

    @property
    def retention(self) -> Mapping[str, float]:
        """Queue of this App -> seconds for which a final job of it is kept.

        That of a firing is kept until nobody would make up for it: its key is held while the job is there.
        """
        least = dict.fromkeys((schedule.queue for schedule in self._schedules), MADE_UP_FOR)
        return {
            name: max(self._options.get(name, QueueOptions()).retention, least.get(name, 0.0))
            for name in self._handlers
        }

    # -- life

    async def start(self, *, queues: Sequence[str] | None = None, name: str | None = None) -> Worker:
        """Open the store and start a worker on this loop; the same one if it runs.

        Args:
            queues: The handlers whose queues it works; all by default.
            name: Of the worker, in the store and the log; made up by default.

        Raises:
            UnknownHandler: There is no handler of a name in *queues*; nothing was opened.
            StoreError: The store cannot be used; the next call tries again.
        """
        return await self._start(queues, name)

    async def _start(
        self, queues: Sequence[str] | None = None, name: str | None = None, *, revives: bool = False
    ) -> Worker:
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
                revives=revives,
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

        Nobody watches this worker: what of it fails by an error of Gristmill's own is logged and begun again.

        Args:
            patience: Seconds after which this returns at the latest.

        Raises:
            StoreError: Waiting does not help: a newer schema, or a store that would lose jobs.
        """
        await self._starting.begin(patience)

    async def start_when_needed(self) -> None:
        """Start as ``start_when_there`` does, and raise as that; but where nothing needs it yet, later.

        Nothing does where the store is an SQLite file that does not exist and there is no schedule: then the
        worker starts with the first job that comes in here, or soon after somebody else made the file.
        """
        self._should_work = True
        if self.is_new and not self._schedules:
            self._looking = asyncio.create_task(self._start_when_made(), name="gristmill store watch")
        else:
            await self.start_when_there()

    async def _start_when_made(self) -> None:
        is_new = True
        while is_new:
            await asyncio.sleep(_LOOK)
            is_new = self.is_new
        with contextlib.suppress(StoreError):  # the log has it
            await self.start_when_there()

    async def stop(self, grace: float = 25.0) -> None:
        """Stop the worker as ``Worker.stop`` does, and close the store. Idempotent.

        Whatever is asked afterwards opens a store anew: an App may serve again.
        """
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        await self._starting.stop()
        worker, self.worker = self.worker, None
        if worker is not None:
            await worker.stop(grace)
        await self._close()
        self._intakes.clear()  # they have the store that was

    def _check_queue(self, name: str) -> None:
        """Refuse a queue of no handler; without any handler, as over a bare store, each may be somebody's."""
        if self._handlers:
            self._handler(name)
        else:
            super()._check_queue(name)

    def breakers(self) -> Sequence[BreakerStatus]:
        """Return how the circuit breakers of this process stand, one a queue; other workers have theirs."""
        return [] if self.worker is None else [lane.gate.status for lane in self.worker.lanes]

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
        ids: Sequence[str | None] | None = None,
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
            ids: The caller's ids of the items, which come back with their results; *items* is a list then.
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
            else Unique(key=_short(unique), seconds=unique_for, fingerprint=fingerprint),
            keep_results=keep_results,
            ids=None if ids is None else _ids_of(ids, items),
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

    async def _fire(
        self, queue: str, items: Sequence[Any], *, priority: int, unique: str, unique_for: float
    ) -> None:
        await self.enqueue(queue, items, priority=priority, unique=unique, unique_for=unique_for)


def _short(unique: str) -> str:
    check_key("a unique key", unique)
    return short_key(unique)


def _ids_of(ids: Sequence[str | None], items: Source) -> bytes | None:
    if not isinstance(items, list | tuple):
        raise ConfigurationError("ids need items in a list, so that each item has its own")
    check_item_ids(ids, len(items))
    return ids_to_json(ids) if any(one is not None for one in ids) else None


def _epoch(at: float | dt.datetime | None) -> float | None:
    if isinstance(at, dt.datetime):
        if at.tzinfo is None:
            raise ConfigurationError("run_at needs a time zone: datetime.now(timezone.utc) + timedelta(...)")
        return at.timestamp()
    return at
