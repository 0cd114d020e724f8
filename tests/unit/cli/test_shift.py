from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from gristmill import BatchHandler, batch
from gristmill.cli.shift import Shift
from gristmill.cli.stopping import StopSignals
from gristmill.errors import StoreMisconfigured, StoreUnavailable
from gristmill.model.job import Job, JobState
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.service import Jobs
from gristmill.queue.worker import Worker


class Scene:
    """A shift over a handler that ends when it may."""

    def __init__(self, store: MemoryStore, *, grace: float = 30.0) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.signals = StopSignals()
        self.jobs = Jobs([self._handler()], store)
        self.shift = Shift(self.jobs, ["numbers"], name="me", grace=grace, signals=self.signals)
        self.workers: list[Worker] = []

    def _handler(self) -> BatchHandler[int, int]:
        @batch(name="numbers")
        async def numbers(items: list[int]) -> list[int]:
            self.begun.set()
            await self.may_end.wait()
            return items

        return numbers

    async def began(self, say_ready: Callable[[Worker], None] | None = None) -> tuple[asyncio.Task[int], str]:
        """Store a job, and return the shift and the job once its batch runs."""
        ref = await self.jobs.enqueue("numbers", [1, 2])
        task = asyncio.create_task(self.shift.work(say_ready or self.workers.append))
        await self.begun.wait()
        return task, ref.id


async def job_in(store: MemoryStore, job: str) -> Job:
    found = await store.job(job)
    assert found is not None
    return found


async def test_it_works_until_it_is_asked_to_stop() -> None:
    store = MemoryStore()
    scene = Scene(store)
    scene.may_end.set()
    task, job = await scene.began()
    await scene.jobs.wait(job)
    assert [worker.name for worker in scene.workers] == ["me"]
    scene.signals.ask()
    assert await task == 0
    assert scene.jobs.worker is None


async def test_a_batch_that_runs_may_end_within_the_grace(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    scene = Scene(store)

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "stopping: batches get 30 s to end" in record.getMessage():
                scene.may_end.set()

    listener, logger = Listener(), logging.getLogger("gristmill.work")
    logger.addHandler(listener)
    try:
        with caplog.at_level(logging.INFO, "gristmill"):
            task, job = await scene.began()
            scene.signals.ask()
            assert await task == 0
    finally:
        logger.removeHandler(listener)
    assert (await job_in(store, job)).state is JobState.COMPLETED


@pytest.mark.parametrize("grace", [0.0, 30.0])
async def test_what_does_not_end_is_given_back_without_penalty(grace: float) -> None:
    store = MemoryStore()
    scene = Scene(store, grace=grace)
    task, job = await scene.began()
    scene.signals.ask()
    if grace:
        scene.signals.ask()
    assert await task == 0
    assert (await job_in(store, job)).counts.queued == 2
    (chunk,) = await store.unprocessed(job)
    assert (chunk.attempt, chunk.crashes) == (0, 0)


class Away(MemoryStore):
    """A store that cannot be opened a few times."""

    def __init__(self, error: Exception, times: float) -> None:
        super().__init__()
        self.error, self.times = error, times
        self.asked = asyncio.Event()

    async def open(self) -> None:
        self.asked.set()
        self.times -= 1
        if self.times >= 0:
            raise self.error


async def test_a_store_that_is_away_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(Away(StoreUnavailable("nobody there"), 2))
    ready = asyncio.Event()
    task = asyncio.create_task(scene.shift.work(lambda _: ready.set()))
    await ready.wait()
    scene.signals.ask()
    assert await task == 0
    assert [record.message.split(" in ")[0] for record in caplog.records] == [
        "the store cannot be used, and is tried again"
    ] * 2
    assert "nobody there" in caplog.text


async def test_it_stops_also_while_the_store_is_away() -> None:
    store = Away(StoreUnavailable("nobody there"), float("inf"))
    scene = Scene(store)
    task = asyncio.create_task(scene.shift.work(scene.workers.append))
    await store.asked.wait()
    scene.signals.ask()
    assert await task == 0
    assert scene.workers == []


async def test_a_store_that_would_lose_jobs_ends_it() -> None:
    scene = Scene(Away(StoreMisconfigured("eviction is on"), 1))
    with pytest.raises(StoreMisconfigured, match="eviction is on"):
        await scene.shift.work(scene.workers.append)


async def test_a_worker_that_fails_by_itself_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryStore):
        async def claim(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("a bug")

    scene = Scene(Broken())
    assert await scene.shift.work(scene.workers.append) == 1
    assert "the worker failed, and stops" in caplog.text
    assert "a bug" in caplog.text
