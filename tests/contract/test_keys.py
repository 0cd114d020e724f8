"""Ordering by key: one batch of a key at a time, in order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gristmill.model.chunk import pick
from gristmill.model.lease import Settlement


async def test_chunks_of_one_key_run_one_after_another_in_order(queue: Any) -> None:
    jobs = [await queue.submit(1, key="a") for _ in range(3)]
    for job in jobs:
        claim = await queue.claim()
        assert [chunk.job for chunk in claim.chunks] == [job]
        assert claim.chunks[0].key == "a"
        await queue.nothing()
        await queue.succeed(claim)
    await queue.nothing()


async def test_other_keys_and_work_without_one_go_on(queue: Any) -> None:
    first = await queue.submit(1, key="a")
    blocked = await queue.submit(1, key="a")
    others = {await queue.submit(1, key="b"), await queue.submit(1)}
    running = await queue.claim(items=1)
    assert running.chunks[0].job == first
    seen = {(await queue.claim(items=1)).chunks[0].job for _ in range(2)}
    assert seen == others
    await queue.nothing()
    await queue.succeed(running)
    assert (await queue.claim()).chunks[0].job == blocked


async def test_a_retry_stays_first_of_its_key(queue: Any) -> None:
    first, second = await queue.submit(2, key="a"), await queue.submit(1, key="a")
    claim = await queue.claim()
    (chunk,) = claim.chunks
    await queue.store.settle(
        Settlement(lease=claim.lease, chunks=(pick(chunk, [0, 1], attempt=1, delay=300),))
    )
    await queue.nothing()
    (status,) = await queue.store.queues()
    assert (status.scheduled, status.blocked) == (2, 1)
    assert await queue.store.cancel(first)
    assert (await queue.claim()).chunks[0].job == second


async def test_a_dead_chunk_lets_the_next_of_its_key_run(queue: Any) -> None:
    await queue.submit(1, key="a")
    second = await queue.submit(1, key="a")
    await queue.kill(await queue.claim())
    assert (await queue.claim()).chunks[0].job == second


async def test_a_released_chunk_stays_first_of_its_key(queue: Any) -> None:
    first = await queue.submit(1, key="a")
    await queue.submit(1, key="a")
    await queue.store.release((await queue.claim()).lease)
    claim = await queue.claim()
    assert [chunk.job for chunk in claim.chunks] == [first]


async def test_a_chunk_of_a_dead_lease_keeps_its_key_closed(queue: Any) -> None:
    await queue.submit(1, key="a")
    second = await queue.submit(1, key="a")
    await queue.claim(seconds=0)
    taken = await queue.store.take_over(worker="r", seconds=60)
    await queue.nothing()
    await queue.succeed(taken)
    assert (await queue.claim()).chunks[0].job == second


async def test_halves_of_a_chunk_run_before_what_stands_behind_it(queue: Any) -> None:
    first = await queue.submit(4, key="a")
    second = await queue.submit(1, key="a")
    claim = await queue.claim()
    halves = tuple(pick(claim.chunks[0], part, crashes=1) for part in ([0, 1], [2, 3]))
    await queue.store.settle(Settlement(lease=claim.lease, chunks=halves))
    order = []
    for _ in range(3):
        claim = await queue.claim()
        order.append((claim.chunks[0].job, claim.chunks[0].places[0][0]))
        await queue.nothing()
        await queue.succeed(claim)
    assert order == [(first, 0), (first, 2), (second, 0)]


async def test_keys_of_different_queues_are_different_keys(queue: Any) -> None:
    await queue.submit(1, key="a")
    await queue.submit(1, key="a", queue="letters")
    await queue.claim("numbers")
    await queue.claim("letters")


async def test_an_upload_keeps_its_place_in_the_order_of_its_key(queue: Any) -> None:
    job, chunks = queue.new(1, key="a")
    await queue.store.begin(job)
    await queue.store.add(job.id, chunks)
    later = await queue.submit(1, key="a")
    await queue.nothing()
    await queue.store.commit(job.id)
    claim = await queue.claim()
    assert claim.chunks[0].job == job.id
    await queue.succeed(claim)
    assert (await queue.claim()).chunks[0].job == later


async def test_an_upload_that_is_given_up_frees_its_key(queue: Any) -> None:
    job, chunks = queue.new(1, key="a")
    await queue.store.begin(job)
    await queue.store.add(job.id, chunks)
    later = await queue.submit(1, key="a")
    await queue.store.abort(job.id)
    assert (await queue.claim()).chunks[0].job == later


async def test_an_upload_of_many_keys_runs_whole_and_each_key_in_order(queue: Any) -> None:
    new, chunks = queue.new(2500, chunk=1)
    (first,) = queue.new(1, key="7")[1]
    await queue.store.enqueue([(replace(new, id=first.job), [first])])
    await queue.store.begin(new)
    keyed = [replace(chunk, key=str(number % 2000)) for number, chunk in enumerate(chunks)]
    await queue.store.add(new.id, keyed)
    assert (await queue.counts(new.id))[0] == 2500
    (status,) = await queue.store.queues()
    assert (status.ready, status.blocked) == (1, 0)
    await queue.store.commit(new.id)
    (status,) = await queue.store.queues()
    assert (status.ready, status.blocked) == (2000, 501)
    seen = await queue.drain()
    assert sorted(seen) == sorted([0, *range(2500)])
    assert seen.index(7) < seen.index(2007)
    assert (await queue.counts(new.id))[2] == 2500
