"""Stores whose primary dies, and whose replica, which had fallen behind, takes its place."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faults.queue.replicas import PostgresReplica, ValkeyReplica
from tests.faults.servers import Line, PostgresServer, ValkeyServer

from gristmill.errors import JobNotFound, StoreError

pytestmark = pytest.mark.timeout(120)


@dataclass
class Pair:
    """A primary and its replica.

    Attributes:
        address: Where clients find the one that takes writes.
        wire: From the primary to the replica.
    """

    primary: Any
    replica: Any
    address: Line
    wire: Line

    async def fail_over(self) -> None:
        """Lose the primary; the replica goes on with what it has."""
        await asyncio.to_thread(self.primary.kill)
        await asyncio.to_thread(self.replica.promote)
        self.address.lead_to(self.replica.target)


@pytest.fixture(params=("postgres", "redis"))
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    kinds = (
        (PostgresServer, PostgresReplica) if request.param == "postgres" else (ValkeyServer, ValkeyReplica)
    )
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="gm-rep-", ignore_cleanup_errors=True))
        )
        primary: Any = await asyncio.to_thread(kinds[0], folder)
        stack.callback(primary.close)
        address, wire = Line(primary.target), Line(primary.target)
        for each in (address, wire):
            await each.open()
            stack.push_async_callback(each.close)
        replica: Any = await asyncio.to_thread(kinds[1], primary, folder, wire.port)
        stack.callback(replica.close)
        yield Pair(primary, replica, address, wire)


@pytest.fixture
async def mill(pair: Pair, mill_at: Any) -> AsyncIterator[Any]:
    async with mill_at(pair.primary.through(pair.address.port)) as made:
        yield made


async def test_a_replica_that_lags_loses_what_it_had_not_received_and_runs_again_what_it_had(
    mill: Any, pair: Pair
) -> None:
    # Before the line is cut: `held` runs, and so does `dying`; `settled` waits.
    holder = await mill.worker("--mode", "wait_before", "--lease", "60", "--size", "10")
    held = [await mill.jobs.enqueue("numbers", range(start, start + 10)) for start in (0, 10)]
    await holder.says("holding")  # and the second one is claimed ahead
    victim = await mill.worker("--mode", "wait_before", "--lease", "2", "--size", "10")
    dying = [await mill.jobs.enqueue("numbers", range(start, start + 10)) for start in (20, 30)]
    await victim.says("holding")
    while [(await ref.status()).counts.running for ref in (*held, *dying)] != [10] * 4:
        pass
    settled = await mill.jobs.enqueue("numbers", range(40, 50))
    await pair.replica.catch_up()
    pair.wire.die()
    # Of all this the replica hears nothing.
    helper = await mill.worker("--lease", "60")
    assert (await settled.wait(60)).counts.succeeded == 10
    unheard = [
        await mill.jobs.enqueue("numbers", range(50, 60)),
        await mill.jobs.enqueue("numbers", range(60, 70), unique="u", unique_for=3600),
    ]
    for ref in unheard:
        assert (await ref.wait(60)).counts.succeeded == 10
    helper.signal(signal.SIGTERM)
    assert await helper.ended() == 0
    loser = await mill.worker("--mode", "wait_before", "--lease", "2")
    unheard.append(await mill.jobs.enqueue("numbers", range(70, 80)))
    await loser.says("holding")
    assert all(mill.seen()[item] == 1 for item in range(40, 70))

    await pair.fail_over()
    await victim.kill()

    # What was accepted before the cut is there, and nothing that came after it.
    page = await _again(lambda: mill.jobs.list(limit=1000))
    known = {ref.id for ref in (*held, *dying, settled)}
    assert {job.id for job in page.jobs} == known
    for ref in unheard:
        with pytest.raises(JobNotFound):
            await ref.status()
    # The loser's batch is nobody's any more: it is stopped, and its worker goes on with other work.
    await loser.says("stopped")
    await loser.says("holding")
    assert not mill.seen().keys() & {*range(20), *range(70, 80)}
    again = await mill.jobs.enqueue("numbers", range(60, 70), unique="u", unique_for=3600)
    assert again.created
    mill.go()
    refs = [*held, *dying, settled, again, await mill.jobs.enqueue("numbers", range(80, 90))]
    for ref in refs:
        assert (await ref.wait(90)).counts.succeeded == 10
    for ref in refs:
        await mill.done(ref.id)
    twice = {*range(40, 50), *range(60, 70)}  # their outcomes were lost
    assert mill.seen() == {item: 2 if item in twice else 1 for item in (*range(70), *range(80, 90))}
    assert {attempt for _, attempt in mill.attempts()} == {1}
    # A batch that was held all the time is settled by whom had it.
    holder.signal(signal.SIGTERM)
    counts = await holder.says("counts")
    assert "'stale': 0" in counts
    assert "'lost': 0" in counts
    loser.signal(signal.SIGTERM)
    assert "'lost': 1" in await loser.says("counts")


async def _again(call: Any) -> Any:
    """Call until the store is there."""
    while True:
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(0.05)
