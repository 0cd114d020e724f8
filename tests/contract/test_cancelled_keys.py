"""Cancelling single items of jobs with an ordering key."""

from __future__ import annotations

from typing import Any


async def test_a_chunk_whose_items_are_all_cancelled_lets_the_next_of_its_key_run(queue: Any) -> None:
    first, second = await queue.submit(2, key="a"), await queue.submit(1, key="a")
    assert await queue.store.cancel_items(first, [0, 1]) == 2
    assert (await queue.claim()).chunks[0].job == second


async def test_a_chunk_that_keeps_items_stays_first_of_its_key(queue: Any) -> None:
    first, second = await queue.submit(2, key="a"), await queue.submit(1, key="a")
    assert await queue.store.cancel_items(first, [1]) == 1
    claim = await queue.claim()
    assert [(chunk.job, chunk.places) for chunk in claim.chunks] == [(first, ((0, 1),))]
    await queue.succeed(claim)
    assert (await queue.claim()).chunks[0].job == second


async def test_items_that_run_or_have_their_outcome_are_not_cancelled(queue: Any) -> None:
    job = await queue.submit(30, chunk=10)
    await queue.succeed(await queue.claim(items=10))
    await queue.claim(items=10)
    assert await queue.store.cancel_items(job, [0, 10, 20]) == 1
    assert await queue.counts(job) == (9, 10, 10, 0, 1)


async def test_items_of_an_upload_are_cancelled_and_counted_before_it_is_whole(queue: Any) -> None:
    job, chunks = queue.new(8, chunk=4)
    await queue.store.begin(job)
    await queue.store.add(job.id, chunks)
    assert await queue.store.cancel_items(job.id, range(4)) == 4
    assert await queue.counts(job.id) == (4, 0, 0, 0, 4)
    assert await queue.store.cancel_items(job.id, range(4, 8)) == 4
    assert (await queue.job(job.id)).finished_at is None
    await queue.store.commit(job.id)
    assert (await queue.job(job.id)).finished_at is not None
