"""Claims that nobody waits for, and what a backlog costs."""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill.model.job import JobState
from gristmill.model.lease import Claim, Settled


async def test_a_claim_whose_caller_is_cancelled_is_given_back(lab: Any) -> None:
    store = lab.reach(lab.serve())
    await store.enqueue([lab.new(5)])
    for turns in range(12):  # wherever it is on its way
        task = asyncio.create_task(lab.claim(store))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and isinstance(found := task.result(), Claim):
            await store.release(found.lease)

    async def is_free() -> bool:
        (status,) = await store.queues()
        return bool((status.ready, status.running) == (5, 0))

    await lab.until(is_free)
    assert isinstance(await lab.claim(store), Claim)


async def test_a_dead_lease_that_nobody_waits_for_is_given_back(lab: Any) -> None:
    store = lab.reach(lab.serve())
    await store.enqueue([lab.new(5)])
    await lab.claim(store, seconds=0)
    task = asyncio.create_task(store.take_over(worker="r", seconds=60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await store.close()
    (status,) = await store.queues()
    assert (status.ready, status.running) == (5, 0)


async def test_a_claim_does_not_take_what_a_cancel_has_still_to_come_to(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    cancelled, other = lab.new(30, chunk=1), lab.new(2, chunk=1)
    await store.enqueue([cancelled, other])
    assert await store._links.run("cancel", cancelled[0].id, 10) == 2  # noqa: SLF001 - a cancel cut off midway
    found = await store.job(cancelled[0].id)
    assert (found.state, found.counts.cancelled, found.counts.queued) == (JobState.CANCELLING, 10, 20)
    assert [chunk.job for chunk in (await lab.claim(store)).chunks] == [other[0].id] * 2
    found = await store.job(cancelled[0].id)
    assert (found.state, found.counts.cancelled) == (JobState.CANCELLED, 30)
    assert await store.cancel(cancelled[0].id)


async def test_a_claim_and_a_settlement_cost_the_same_whatever_the_backlog(lab: Any) -> None:
    server = lab.serve(appendfsync="no")
    store = lab.reach(server)

    async def cost() -> dict[str, int]:
        await lab.ask(server, "CONFIG", "RESETSTAT")
        found = await lab.claim(store, items=10)
        assert found.items == 10
        assert await lab.succeed(store, found) is Settled.SETTLED
        stats = await lab.ask(server, "INFO", "commandstats")
        return {name: each["calls"] for name, each in stats.items() if "eval" not in name}

    await store.enqueue([lab.new(200, chunk=5)])
    await cost()  # every script is known from here on
    few = await cost()
    await store.enqueue([lab.new(100_000, chunk=5, priority=priority) for priority in (1, 9)])
    await store.enqueue([lab.new(20_000, chunk=5, delay=3600)])
    many = await cost()
    assert many == few
    (status,) = await store.queues()
    assert (status.ready, status.scheduled) == (200_000 + 200 - 30, 20_000)


async def test_ids_ascend_and_do_not_come_again_when_the_last_is_forgotten(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.enqueue([lab.new(3, chunk=1)])
    before = [await lab.claim(store, items=1) for _ in range(2)]
    await lab.ask(server, "DEL", "{gm}:last")  # as after a crash that lost the last second
    await store.enqueue([lab.new()])
    after = [await lab.claim(store, items=1) for _ in range(2)]
    leases = [each.lease for each in (*before, *after)]
    assert leases == sorted(set(leases))
    assert after[-1].chunks[0].id > after[0].chunks[0].id


async def test_settled_leases_are_forgotten_after_an_hour(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.enqueue([lab.new()])
    await lab.succeed(store, await lab.claim(store))
    (name,) = [name for name in await lab.ask(server, "KEYS", "*") if b"settled" in name]
    assert 3500 < await lab.ask(server, "TTL", name) <= 3600
