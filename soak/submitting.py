"""Users: they submit jobs of all sizes until they are told it is safe, cancel some and redrive some."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from gristmill import batch
from gristmill.errors import StoreError
from gristmill.queue.reading import ItemResult
from gristmill.queue.service import Jobs
from soak.history import item_of
from soak.results import Ending, Outcome, Submitted
from soak.worker import OPTIONS, SIZE

_KEYS = 2
_BACKLOG = 1500
_PAUSE = 0.1
_SIZES = (1, 1, 3, SIZE, SIZE + 1, 60, 250)
_KEYED_SIZES = (1, 1, 3, SIZE, 2 * SIZE + 5)


def jobs_at(url: str) -> Jobs:
    """Return the jobs at *url* for a process that works on none."""

    @batch(name="soak", max_size=SIZE)
    async def soak(items: list[int]) -> list[str]:
        raise AssertionError(f"this process runs nothing, not even {items}")

    return Jobs([soak], url, options={"soak": OPTIONS})


class Users:
    """Several users at once.

    Args:
        jobs: Where they submit.
        seed: Of their whims.

    Attributes:
        submitted: What was acknowledged.
        refusals: How often the store was away.
    """

    def __init__(self, jobs: Jobs, seed: int) -> None:
        self._jobs = jobs
        self._random = random.Random(f"{seed}/users")
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._serial = 0
        self.submitted: list[Submitted] = []
        self.refusals = 0

    async def act(self, until: float) -> None:
        """Submit, cancel and redrive until the monotonic time *until*."""
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(self._submit(until))
            group.create_task(self._meddle(until))

    async def _submit(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(self._random.expovariate(3))
            if await self._backlog() < _BACKLOG:
                await self.submit_one()

    async def _backlog(self) -> int:
        queues = await self._insist(self._jobs.queues)
        return sum(queue.ready + queue.scheduled + queue.blocked for queue in queues)

    async def submit_one(self) -> None:
        """Submit a job, for as long as it takes."""
        key = f"key{self._random.randrange(_KEYS)}" if self._random.random() < 0.4 else None
        if key is None:
            await self._send(None)
            return
        async with self._locks[key]:  # one after another, else their order is nobody's
            await self._send(key)

    async def _send(self, key: str | None) -> None:
        self._serial += 1
        serial = self._serial
        size = self._random.choice(_SIZES if key is None else _KEYED_SIZES)
        items = [item_of(serial, place) for place in range(size)]
        wishes: dict[str, Any] = {
            "priority": self._random.randrange(10),
            "delay": self._random.choice((0.0, 0.0, 0.0, 0.2, 1.5)),
        }
        unique = f"job{serial}"
        ref = await self._insist(
            lambda: self._jobs.enqueue("soak", items, key=key, unique=unique, unique_for=3600.0, **wishes)
        )
        self.submitted.append(Submitted(serial=serial, id=ref.id, size=size, key=key))

    async def _insist(self, call: Any) -> Any:
        return await insist(call, self._refused)

    def _refused(self) -> None:
        self.refusals += 1

    async def _meddle(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(self._random.expovariate(2))
            if not self.submitted:
                continue
            job = self._random.choice(self.submitted[-60:])
            wish = self._random.random()
            if wish < 0.2:
                job.is_cancelled = True
                await self._insist(lambda job=job: self._jobs.cancel(job.id))
            elif wish < 0.4:
                job.is_cancelled = True
                places = self._random.sample(range(job.size), min(job.size, 5))
                await self._insist(lambda job=job, places=places: self._jobs.cancel(job.id, items=places))
            else:
                await self._insist(lambda job=job: self._redrive(job))

    async def _redrive(self, job: Submitted) -> None:
        job.redriven_at.append(time.monotonic())  # before: an answer that is lost may have been a yes
        await self._jobs.retry(job.id)


async def insist(call: Any, refused: Callable[[], None] = lambda: None) -> Any:
    """Call until the store is there, and return what it answers."""
    while True:
        try:
            return await call()
        except StoreError:
            refused()
            await asyncio.sleep(_PAUSE)


async def wait_for_all(jobs: Jobs, submitted: list[Submitted], seconds: float) -> None:
    """Return once all of *submitted* are final, after *seconds* at the latest."""
    try:
        async with asyncio.timeout(seconds):
            for job in submitted:
                await insist(partial(jobs.wait, job.id))
    except (TimeoutError, LookupError):
        return  # the check will tell


async def endings_of(jobs: Jobs) -> dict[str, Ending]:
    """Return all that the store has."""
    found: dict[str, Ending] = {}
    cursor: str | None = None
    while True:
        page = await jobs.list(cursor=cursor)
        for job in page.jobs:
            outcomes = [_outcome(item) async for item in jobs.results(job.id)]
            found[job.id] = Ending(job=job, outcomes=outcomes)
        cursor = page.cursor
        if cursor is None:
            return found


def _outcome(item: ItemResult) -> Outcome:
    failure = item.failure
    return Outcome(
        place=item.place,
        kind=item.kind,
        value=item.decoded(),
        code=None if failure is None else failure.code,
        attempts=0 if failure is None else failure.attempts,
    )
