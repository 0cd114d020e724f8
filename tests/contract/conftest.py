"""One suite for every store: each test here runs on all of them, on real servers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.model.chunk import Chunk, NewChunk, again, cut
from gristmill.model.job import Job, NewJob
from gristmill.model.lease import Claim, Idle, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.store import Store
from gristmill.queue.url import store_from

STORES = ("memory", "sqlite", "postgres", "redis")


@pytest.fixture(params=STORES)
def store_kind(request: pytest.FixtureRequest) -> str:
    """Which store."""
    kind: str = request.param
    return kind


@pytest.fixture
async def store(
    store_kind: str, store_url: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Store]:
    """An empty store, open."""
    async with contextlib.AsyncExitStack() as stack:
        url = await store_url(store_kind, request, tmp_path, stack)
        opened = store_from(url)
        await opened.open()
        stack.push_async_callback(opened.close)
        yield opened


class Driver:
    """Says in a word what a test does to a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._jobs = 0

    def new(
        self, items: int = 1, *, chunk: int = 100, key: str | None = None, **options: Any
    ) -> tuple[NewJob, list[NewChunk]]:
        """Return a job whose items are the numbers from 0."""
        self._jobs += 1
        job = NewJob(id=f"job_{self._jobs:026d}", **{"queue": "numbers", **options})
        texts = (json.dumps(number).encode() for number in range(items))
        return job, list(cut(texts, job=job.id, max_items=chunk, max_bytes=1 << 20, key=key))

    async def submit(self, items: int = 1, **options: Any) -> str:
        """Enqueue a job of numbers and return its id."""
        (found,) = await self.store.enqueue([self.new(items, **options)])
        assert found.created
        return found.job

    async def claim(
        self, queue: str = "numbers", *, items: int = 1000, size: int = 1 << 30, seconds: float = 60
    ) -> Claim:
        """Claim something; there must be something."""
        found = await self.try_claim(queue, items=items, size=size, seconds=seconds)
        assert isinstance(found, Claim), found
        return found

    async def try_claim(
        self, queue: str = "numbers", *, items: int = 1000, size: int = 1 << 30, seconds: float = 60
    ) -> Claim | Idle:
        """Claim what there is."""
        return await self.store.claim(queue, worker="w1", max_items=items, max_bytes=size, seconds=seconds)

    async def nothing(self, queue: str = "numbers") -> Idle:
        """See that nothing is to be claimed."""
        found = await self.try_claim(queue)
        assert isinstance(found, Idle), found
        return found

    async def succeed(self, claim: Claim) -> Settled:
        """Settle every item with itself as its value."""
        return await self.store.settle(
            Settlement(lease=claim.lease, results=tuple(map(succeeded, claim.chunks)))
        )

    async def retry(self, claim: Claim, *, delay: float = 0.0) -> Settled:
        """Settle every item to run again."""
        chunks = tuple(again(chunk, attempt=chunk.attempt + 1, delay=delay) for chunk in claim.chunks)
        return await self.store.settle(Settlement(lease=claim.lease, chunks=chunks))

    async def kill(self, claim: Claim, *, code: str = "bad", error: str = "no good") -> Settled:
        """Settle every item as dead."""
        chunks = tuple(
            again(chunk, attempt=chunk.attempt + 1, code=code, error=error) for chunk in claim.chunks
        )
        results = tuple(failed(chunk, code) for chunk in claim.chunks)
        return await self.store.settle(Settlement(lease=claim.lease, chunks=chunks, results=results))

    async def job(self, job: str) -> Job:
        """Return a job that must be there, with counts that add up."""
        found = await self.store.job(job)
        assert found is not None
        counts = found.counts
        parts = (counts.queued, counts.running, counts.succeeded, counts.failed, counts.cancelled)
        assert sum(parts) == counts.total
        assert min(parts) >= 0
        return found

    async def counts(self, job: str) -> tuple[int, int, int, int, int]:
        """Return queued, running, succeeded, failed, cancelled."""
        found = (await self.job(job)).counts
        return found.queued, found.running, found.succeeded, found.failed, found.cancelled

    async def drain(self, queue: str = "numbers") -> list[int]:
        """Run everything that is due, and return the items in the order they ran."""
        seen: list[int] = []
        while isinstance(claim := await self.try_claim(queue), Claim):
            seen += items_of(claim)
            assert await self.succeed(claim) is Settled.SETTLED
        return seen


def succeeded(chunk: Chunk) -> NewResult:
    return NewResult(
        job=chunk.job,
        kind=ResultKind.SUCCEEDED,
        places=chunk.places,
        items=chunk.items,
        body=chunk.body if chunk.keep_results else None,
    )


def failed(chunk: Chunk, code: str) -> NewResult:
    body = json.dumps([{"code": code, "message": "", "attempts": 1}] * chunk.items).encode()
    return NewResult(job=chunk.job, kind=ResultKind.FAILED, places=chunk.places, items=chunk.items, body=body)


def items_of(claim: Claim) -> list[int]:
    return [item for chunk in claim.chunks for item in json.loads(chunk.body)]


@pytest.fixture
def queue(store: Store) -> Driver:
    """A driver of the store."""
    return Driver(store)


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Ask again until the answer is true; the test's timeout ends it."""

    async def ask(question: Callable[[], Awaitable[Any]]) -> Any:
        while not (answer := await question()):
            pass
        return answer

    return ask
