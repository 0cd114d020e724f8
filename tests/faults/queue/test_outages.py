"""Stores that go away and come back, and lines to them that go dead."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.servers import Line, PostgresServer, ValkeyServer

from gristmill.errors import StoreError
from gristmill.model.job import JobState


@pytest.fixture(params=("postgres", "redis"))
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="gm-out-", ignore_cleanup_errors=True) as folder:
        made = (PostgresServer if request.param == "postgres" else ValkeyServer)(Path(folder))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
async def line(server: Any) -> AsyncIterator[Line]:
    made = Line(server.target)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def mill(server: Any, mill_at: Any) -> AsyncIterator[Any]:
    async with mill_at(server.url) as made:
        yield made


async def test_a_store_that_restarts_in_the_middle_of_a_batch_costs_nothing(mill: Any, server: Any) -> None:
    worker = await mill.worker("--mode", "wait_before", "--lease", "30")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await worker.says("holding")
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    mill.go()
    await _again(lambda: mill.jobs.wait(ref.id, timeout=240))
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(10), 1)


async def test_work_goes_on_through_restarts_and_nothing_is_lost_or_doubled(mill: Any, server: Any) -> None:
    for _ in range(2):
        await mill.worker("--lease", "5", "--size", "10", "--crashes", "50")
    refs = []

    async def enqueue() -> None:
        for number in range(60):
            # Under a unique key it is safe to try again what may have been stored.
            key = {"unique": str(number), "unique_for": 3600}
            refs.append(await _again(lambda k=key: mill.jobs.enqueue("numbers", range(20), **k)))

    async def restart() -> None:
        for _ in range(3):
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)

    await asyncio.gather(enqueue(), restart())
    assert len({ref.id for ref in refs}) == 60
    for ref in refs:
        found = await _again(lambda job=ref: job.wait(90))
        assert (found.state, found.counts.succeeded) == (JobState.COMPLETED, 20)
    assert len((await mill.jobs.list(limit=1000)).jobs) == 60
    for ref in refs:
        await mill.done(ref.id)


async def test_a_worker_whose_line_went_dead_stops_itself_and_works_again_when_it_heals(
    mill: Any, server: Any, line: Line
) -> None:
    cut_off = await mill.worker("--mode", "wait_before", "--lease", "2", url=server.through(line.port))
    ref = await mill.jobs.enqueue("numbers", range(10))
    await cut_off.says("holding")
    line.die()
    other = await mill.worker("--lease", "2")
    assert (await mill.done(ref.id)).counts.succeeded == 10
    await other.kill()
    await cut_off.says("stopped")  # although the line is dead
    mill.go()
    line.heal()
    later = await mill.jobs.enqueue("numbers", [100])
    assert (await mill.done(later.id)).counts.succeeded == 1
    cut_off.signal(15)
    assert "'lost': 1" in await cut_off.says("counts")
    assert mill.seen() == dict.fromkeys([*range(10), 100], 1)


async def test_whichever_answer_of_the_store_is_lost_each_outcome_is_recorded_once(
    mill: Any, server: Any, line: Line
) -> None:
    worker = await mill.worker("--lease", "2", "--crashes", "50", url=server.through(line.port))
    for number in range(1, 9):  # of a claim, a settlement, a commit: done, and nobody hears of it
        line.lose_answer(number)
        ref = await mill.jobs.enqueue("numbers", range(10))
        assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen().keys() == set(range(10))
    worker.signal(15)
    await worker.says("counts")


async def _again(call: Any) -> Any:
    """Call until the store is there."""
    while True:
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(0.05)
