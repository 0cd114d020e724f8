"""A queue in memory behind its routes, asked without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest

from gristmill import App, BatchHandler, Failed, batch
from gristmill.errors import StoreError
from gristmill.http.settings import HttpLimits
from gristmill.http.watch import Message
from gristmill.model.job import Job
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.service import Jobs


class Text(msgspec.Struct):
    text: str
    number: int = 0


class Fitful(MemoryStore):
    """A store in memory that is away while *error* says why; *results_error* for results alone."""

    def __init__(self) -> None:
        super().__init__()
        self.error: StoreError | None = None
        self.results_error: StoreError | None = None
        self.calls = 0

    def _check(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error

    async def open(self) -> None:
        self._check()

    async def now(self) -> float:
        self._check()
        return await super().now()

    async def enqueue(self, *args: Any, **options: Any) -> Any:
        self._check()
        return await super().enqueue(*args, **options)

    async def job(self, job: str) -> Job | None:
        self._check()
        return await super().job(job)

    async def results(self, *args: Any, **options: Any) -> Any:
        if self.results_error is not None:
            raise self.results_error
        return await super().results(*args, **options)

    async def queues(self) -> Any:
        self._check()
        return await super().queues()


class Desk:
    """An App with one handler ``echo``, its store, and a client; ``gate`` holds the handler up."""

    def __init__(self, **options: Any) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.store = Fitful()
        self.store.error = options.pop("away", None)
        self.handler = self._handler(**options.pop("handler", {}))
        self.app = App([self.handler], store=self.store, **options)
        self.client: httpx2.AsyncClient

    def _handler(self, **limits: Any) -> BatchHandler[Any, Any]:
        @batch(name="echo", **limits)
        async def echo(items: list[Text]) -> list[Text | Failed]:
            await self.gate.wait()
            return [Failed("no such text", "not_found") if item.text == "bad" else item for item in items]

        return echo

    @property
    def jobs(self) -> Jobs:
        return self.app.jobs

    async def make(self, items: Any, path: str = "/v1/echo/jobs", **headers: str) -> Any:
        """Post a job of *items* and return the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(items, bytes):
            return await self.client.post(path, content=items, headers=named)
        return await self.client.post(path, json=items, headers=named)


@pytest.fixture
async def open_desk() -> AsyncIterator[Callable[..., Any]]:
    """Open a desk; it serves until the test ends."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> Desk:
            return await stack.enter_async_context(_serving(Desk(**options)))

        yield opened


@asynccontextmanager
async def _serving(desk: Desk) -> AsyncIterator[Desk]:
    states: asyncio.Queue[Message] = asyncio.Queue()
    started = asyncio.Event()

    async def send(message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    states.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(desk.app({"type": "lifespan"}, states.get, send))
    transport = httpx2.ASGITransport(app=desk.app)
    try:
        await started.wait()
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as desk.client:
            yield desk
    finally:
        desk.store.error = None
        desk.gate.set()
        states.put_nowait({"type": "lifespan.shutdown"})
        await life


@pytest.fixture
async def desk(open_desk: Callable[..., Any]) -> Desk:
    """A desk with the limits there are by default."""
    found: Desk = await open_desk()
    return found


@pytest.fixture
async def small_desk(open_desk: Callable[..., Any]) -> Desk:
    """A desk that takes little."""
    limits = HttpLimits(item_bytes=200, batch_bytes=1000, job_bytes=3000, job_items=5, longest_wait=0.05)
    found: Desk = await open_desk(limits=limits)
    return found
