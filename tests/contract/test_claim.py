"""Which chunks a worker gets, and when."""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill.model.lease import Claim, Settled
from gristmill.model.queue import QueueLimits


def items_of(claim: Claim) -> list[int]:
    import json  # noqa: PLC0415 - only here

    return [item for chunk in claim.chunks for item in json.loads(chunk.body)]


async def test_a_claim_takes_whole_chunks_up_to_its_limits(queue: Any) -> None:
    await queue.submit(50, chunk=10)
    claim = await queue.claim(items=25)
    assert [chunk.items for chunk in claim.chunks] == [10, 10]
    assert items_of(claim) == list(range(20))
    assert claim.more
    rest = await queue.claim(items=1000)
    assert items_of(rest) == list(range(20, 50))
    assert not rest.more


async def test_a_claim_is_bounded_by_bytes(queue: Any) -> None:
    await queue.submit(50, chunk=10)
    assert len((await queue.claim(size=60)).chunks) == 2


async def test_one_chunk_is_claimed_however_large_it_is(queue: Any) -> None:
    await queue.submit(50, chunk=50)
    assert (await queue.claim(items=1, size=1)).items == 50


async def test_what_is_claimed_is_claimed_once(queue: Any) -> None:
    await queue.submit(500, chunk=5)
    claims = await asyncio.gather(*(queue.try_claim(items=20) for _ in range(30)))
    got = [item for claim in claims if isinstance(claim, Claim) for item in items_of(claim)]
    assert len(got) == len(set(got))
    got += await queue.drain()
    assert sorted(got) == list(range(500))


async def test_a_chunk_tells_whose_it_is(queue: Any) -> None:
    job = await queue.submit(30, chunk=10)
    claim = await queue.claim(items=20)
    assert claim.queue == "numbers"
    assert [chunk.job for chunk in claim.chunks] == [job, job]
    assert [chunk.places for chunk in claim.chunks] == [((0, 10),), ((10, 10),)]
    assert [(chunk.attempt, chunk.crashes, chunk.key) for chunk in claim.chunks] == [(0, 0, None)] * 2
    assert claim.chunks[0].id < claim.chunks[1].id


async def test_queues_are_apart(queue: Any) -> None:
    await queue.submit(1, queue="letters")
    await queue.nothing("numbers")
    assert (await queue.claim("letters")).items == 1


async def test_urgent_work_comes_first_and_the_same_priority_in_order(queue: Any) -> None:
    jobs = [await queue.submit(1, priority=priority) for priority in (4, 9, 0, 4)]
    order = [(await queue.claim(items=1)).chunks[0].job for _ in range(4)]
    assert order == [jobs[2], jobs[0], jobs[3], jobs[1]]


async def test_old_work_does_not_starve_behind_urgent_work(queue: Any) -> None:
    now = await queue.store.now()
    # Due long ago: its time of waiting outweighs every priority.
    old = queue.new(1, priority=9)
    await queue.store.enqueue([old])
    urgent = await queue.submit(1, priority=0)
    claims = [(await queue.claim(items=1)).chunks[0].job for _ in range(2)]
    assert claims == [urgent, old[0].id]
    assert now > 0


async def test_delayed_work_waits_and_says_for_how_long(queue: Any) -> None:
    await queue.submit(1, delay=3600)
    idle = await queue.nothing()
    assert idle.due_in is not None
    assert 3500 < idle.due_in <= 3600


async def test_work_is_scheduled_by_the_clock_of_the_store(queue: Any) -> None:
    now = await queue.store.now()
    await queue.submit(1, run_at=now + 1800)
    idle = await queue.nothing()
    assert idle.due_in is not None
    assert 1700 < idle.due_in <= 1800
    await queue.submit(1, run_at=now - 1000)
    assert (await queue.claim()).items == 1


async def test_work_becomes_due(queue: Any, until: Any) -> None:
    await queue.submit(3, delay=0.05)

    async def claimed() -> bool:
        return isinstance(await queue.try_claim(), Claim)

    assert await until(claimed)


async def test_an_empty_queue_knows_of_nothing_to_come(queue: Any) -> None:
    assert (await queue.nothing()).due_in is None


async def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(queue: Any) -> None:
    await queue.store.pause("numbers")
    await queue.submit(1)
    await queue.nothing()
    (status,) = await queue.store.queues()
    assert (status.name, status.is_paused, status.ready) == ("numbers", True, 1)
    await queue.store.resume("numbers")
    assert (await queue.claim()).items == 1


async def test_a_pause_lets_what_runs_end(queue: Any) -> None:
    await queue.submit(1)
    claim = await queue.claim()
    await queue.store.pause("numbers")
    assert await queue.succeed(claim) is Settled.SETTLED


async def test_the_leases_of_a_queue_are_limited_over_all_workers(queue: Any) -> None:
    await queue.store.limit("numbers", QueueLimits(concurrency=2))
    await queue.submit(50, chunk=10)
    first, second = [await queue.claim(items=10) for _ in range(2)]
    await queue.nothing()
    await queue.succeed(first)
    third = await queue.claim(items=10)
    await queue.nothing()
    assert await queue.store.release(second.lease)
    await queue.claim(items=10)
    await queue.retry(third)
    await queue.store.limit("numbers", QueueLimits())
    assert (await queue.claim(items=10)).items == 10


async def test_the_rate_of_a_queue_is_limited_over_all_workers(queue: Any) -> None:
    await queue.store.limit("numbers", QueueLimits(rate=0.001, burst=25))
    await queue.submit(50, chunk=10)
    assert (await queue.claim(items=1000)).items == 20
    idle = await queue.nothing()
    assert idle.due_in is not None
    assert 4000 < idle.due_in <= 5000  # five items are missing, at one in a thousand seconds


async def test_a_chunk_larger_than_the_burst_is_paid_off_afterwards(queue: Any) -> None:
    await queue.store.limit("numbers", QueueLimits(rate=1, burst=5))
    await queue.submit(200, chunk=100)
    assert (await queue.claim(items=1000)).items == 100
    idle = await queue.nothing()
    assert idle.due_in is not None
    assert 90 < idle.due_in <= 100


async def test_the_same_limits_again_do_not_fill_the_bucket(queue: Any) -> None:
    limits = QueueLimits(rate=0.001, burst=10)
    await queue.store.limit("numbers", limits)
    await queue.submit(20, chunk=10)
    await queue.claim(items=10)
    await queue.store.limit("numbers", limits)
    await queue.nothing()


async def test_a_waiting_worker_is_woken_by_work(queue: Any) -> None:
    waiting = asyncio.create_task(queue.store.wait(["numbers"], 50))
    await asyncio.sleep(0)
    while not waiting.done():
        await queue.submit(1)
        await asyncio.wait([waiting], timeout=0.05)
    await waiting


async def test_a_wait_ends_by_itself(queue: Any) -> None:
    await queue.store.wait(["numbers"], 0.01)
