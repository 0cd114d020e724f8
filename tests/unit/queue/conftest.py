"""A queue in memory with handlers that tests steer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from gristmill import BatchHandler, Failed, batch
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.options import QueueOptions
from gristmill.queue.service import Jobs


class Mill:
    """One handler ``numbers`` and its queue; ``behave`` says what the handler does."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.batches: list[list[int]] = []
        self.attempts: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.behave: Callable[[list[int]], list[Any]] = lambda items: [item * 2 for item in items]
        self.jobs: Jobs
        self.handler: BatchHandler[Any, Any]

    def make(self, options: QueueOptions | None = None, **limits: Any) -> Jobs:
        @batch(name="numbers", **limits)
        async def numbers(items: list[int], ctx: Any) -> list[int | Failed]:
            self.batches.append(list(items))
            self.attempts.append(ctx.attempt)
            await self.gate.wait()
            return self.behave(items)

        self.handler = numbers
        self.jobs = Jobs([numbers], self.store, options={"numbers": options or QueueOptions()})
        return self.jobs

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():  # noqa: ASYNC110 - turns of the loop, no time
            await asyncio.sleep(0)


@pytest.fixture
async def mill() -> AsyncIterator[Mill]:
    made = Mill()
    yield made
    made.gate.set()
    if hasattr(made, "jobs"):
        await made.jobs.stop(0)
