"""A worker: one lane for each handler, the lease keeper, the reaper and the housekeeping."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import random
import socket
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.errors import StoreError
from gristmill.model.outcome import Failed
from gristmill.model.settling import Policy, fail_all, settle_crash
from gristmill.queue.backoff import Backoff
from gristmill.queue.keeper import LeaseKeeper
from gristmill.queue.lane import Lane
from gristmill.queue.options import QueueOptions
from gristmill.queue.quarantine import Quarantine
from gristmill.queue.recording import BROKEN
from gristmill.queue.schedule import Scheduler
from gristmill.queue.store import Store

_LOG = logging.getLogger("gristmill.queue")
_PRUNE_EVERY = 60.0
_TELL_EVERY = 3600.0


class Worker:
    """Works the queues of some handlers until it is stopped.

    Args:
        handlers: Whose queues.
        store: Open already; it is not closed here.
        options: name -> how a queue is worked.
        retention: queue -> seconds for which its final jobs are kept; those of others are left alone.
        scheduler: Enqueues what is due by a cron schedule; None where there is none.
        name: Names it in the store and the log; made up by default.
        revives: Whether a part of it that fails by a bug is begun again; else ``failure`` tells of it.
    """

    def __init__(
        self,
        handlers: Sequence[BatchHandler[Any, Any]],
        store: Store,
        options: Mapping[str, QueueOptions],
        *,
        retention: Mapping[str, float],
        scheduler: Scheduler | None = None,
        name: str | None = None,
        revives: bool = False,
    ) -> None:
        self.name = name or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._store = store
        self._retention = retention
        self._scheduler = scheduler
        self._revives = revives
        self._options = {handler.name: options.get(handler.name, QueueOptions()) for handler in handlers}
        self._all_options = options  # also of queues that are worked elsewhere
        self._lease = min((each.lease for each in self._options.values()), default=30.0)
        self._keeper = LeaseKeeper(store, self._lease)
        quarantine = Quarantine()
        self.lanes = [
            Lane(
                handler,
                store,
                self._options[handler.name],
                keeper=self._keeper,
                quarantine=quarantine,
                worker=self.name,
            )
            for handler in handlers
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._told: dict[str, float] = {}  # who hinders -> when that was logged

    def __repr__(self) -> str:
        """Show the lanes."""
        return f"<Worker {self.name}: {self.lanes}>"

    async def start(self) -> None:
        """Begin to work, on the running loop. The store must be open.

        Raises:
            StoreError: The limits of a queue could not be set.
        """
        for name, options in self._options.items():
            await self._store.limit(name, options.limits)
        self._keeper.start()
        for lane in self.lanes:
            self._spawn(lane.serve, f"gristmill lane {lane.name}")
        self._spawn(self._reap, "gristmill reaper")
        self._spawn(self._prune, "gristmill pruner")
        if self._scheduler is not None:
            self._spawn(self._scheduler.serve, "gristmill scheduler")

    def _spawn(self, serve: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._tasks.append(asyncio.create_task(self._served(serve, name), name=name))

    async def _served(self, serve: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        backoff = Backoff(random.random)
        while True:
            try:
                await serve()
            except Exception:
                if not self._revives:
                    raise
                _LOG.exception("%s of worker %s failed, and is begun again", name, self.name)
                await asyncio.sleep(backoff.failed())
            else:
                return

    async def failure(self) -> BaseException:
        """Return once one of its own tasks has failed: what it raised. A worker that is well never does."""
        left = set(self._tasks)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    return error
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never done

    async def stop(self, grace: float = 25.0) -> None:
        """Claim nothing more; let what runs end within *grace* seconds, and give the rest back.

        Idempotent; also if it was never started. Called again while it waits, with less grace, it is
        over sooner.
        """
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()) is not None:
                _LOG.error("%s of worker %s had failed", task.get_name(), self.name, exc_info=error)
        await asyncio.gather(*(lane.finish(grace) for lane in self.lanes))
        await asyncio.to_thread(self._keeper.stop)

    async def _reap(self) -> None:
        """Find leases that died, of any worker, and settle what becomes of their items."""
        backoff = Backoff(random.random)
        while True:
            await asyncio.sleep(self._lease / 4 * (0.5 + random.random()))  # noqa: S311 - spreads load
            try:
                while await self.reap_one():
                    pass
                backoff.succeeded()
            except StoreError as error:
                if not backoff.is_failing:
                    _LOG.warning("looking for dead leases failed, and is tried again: %s", error)
                await asyncio.sleep(backoff.failed())

    async def reap_one(self) -> bool:
        """Take over one lease that died, of any queue, and settle it; False if there is none."""
        claim = await self._store.take_over(worker=self.name, seconds=self._lease)
        if claim is None:
            return False
        policy = Policy(max_crashes=self._all_options.get(claim.queue, QueueOptions()).max_crashes)
        _LOG.warning("a worker died, or lost touch, with %d items of %s", claim.items, claim.queue)
        try:
            settlement = settle_crash(claim, policy)
        except Exception as error:  # noqa: BLE001 - a body that is no JSON would come back for ever
            _LOG.error(
                "lease %d of %s cannot be split; its items fail", claim.lease, claim.queue, exc_info=error
            )
            settlement = fail_all(claim, Failed(error, BROKEN))
        await self._store.settle(settlement)
        return True

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(_PRUNE_EVERY * (0.5 + random.random()))  # noqa: S311 - spreads load
            try:
                await self.prune_all()
                await self.tell_hindrances()
            except StoreError as error:
                _LOG.warning("pruning old jobs failed, and is tried again: %s", error)

    async def tell_hindrances(self) -> None:
        """Log what harms the store, or soon will: each when it is first seen, and every hour."""
        now = asyncio.get_running_loop().time()
        found = await self._store.hindrances()
        self._told = {each.who: self._told[each.who] for each in found if each.who in self._told}
        for each in found:
            if now - self._told.get(each.who, -math.inf) >= _TELL_EVERY:
                self._told[each.who] = now
                _LOG.warning("about the store of the queues: %s", each.text)

    async def prune_all(self) -> None:
        """Delete what has been kept for long enough."""
        for queue, seconds in self._retention.items():
            while await self._store.prune(queue, older_than=seconds):
                pass
