"""What becomes of a claim, once and for good."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from gristmill.model.chunk import pick
from gristmill.model.job import JobState
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement


async def test_settled_items_are_done_and_their_values_kept(queue: Any) -> None:
    job = await queue.submit(20, chunk=10)
    claim = await queue.claim()
    assert await queue.counts(job) == (0, 20, 0, 0, 0)
    assert (await queue.job(job)).state is JobState.RUNNING
    assert await queue.succeed(claim) is Settled.SETTLED
    found = await queue.job(job)
    assert (found.state, found.counts.succeeded) == (JobState.COMPLETED, 20)
    assert found.finished_at is not None
    assert found.finished_at >= found.created_at
    results = await queue.store.results(job)
    assert [json.loads(result.body) for result in results] == [list(range(10)), list(range(10, 20))]
    await queue.nothing()


async def test_one_settlement_covers_several_jobs(queue: Any) -> None:
    jobs = [await queue.submit(3) for _ in range(4)]
    await queue.succeed(await queue.claim())
    assert [await queue.counts(job) for job in jobs] == [(0, 0, 3, 0, 0)] * 4


async def test_some_items_succeed_some_run_again_and_some_are_dead(queue: Any) -> None:
    job = await queue.submit(10)
    claim = await queue.claim()
    (chunk,) = claim.chunks
    settled = await queue.store.settle(
        Settlement(
            lease=claim.lease,
            chunks=(
                pick(chunk, [0, 1, 5], attempt=1),
                pick(chunk, [9], attempt=1, code="bad", error="no good"),
            ),
            results=(
                NewResult(
                    job=job,
                    kind=ResultKind.SUCCEEDED,
                    places=((2, 3), (6, 3)),
                    items=6,
                    body=b"[2,3,4,6,7,8]",
                ),
                NewResult(
                    job=job, kind=ResultKind.FAILED, places=((9, 1),), items=1, body=b'[{"code":"bad"}]'
                ),
            ),
        )
    )
    assert settled is Settled.SETTLED
    assert await queue.counts(job) == (3, 0, 6, 1, 0)
    again = await queue.claim()
    assert [(c.places, c.attempt, json.loads(c.body)) for c in again.chunks] == [
        (((0, 2), (5, 1)), 1, [0, 1, 5])
    ]
    await queue.succeed(again)
    assert await queue.counts(job) == (0, 0, 9, 1, 0)
    assert (await queue.job(job)).state is JobState.COMPLETED


async def test_a_retry_waits_for_its_time(queue: Any) -> None:
    job = await queue.submit(1)
    await queue.retry(await queue.claim(), delay=600)
    idle = await queue.nothing()
    assert idle.due_in is not None
    assert 500 < idle.due_in <= 600
    assert await queue.counts(job) == (1, 0, 0, 0, 0)
    assert (await queue.job(job)).state is JobState.QUEUED


async def test_a_second_settlement_of_a_lease_is_a_duplicate_and_changes_nothing(queue: Any) -> None:
    job = await queue.submit(5)
    claim = await queue.claim()
    assert await queue.succeed(claim) is Settled.SETTLED
    assert await queue.succeed(claim) is Settled.DUPLICATE
    assert await queue.retry(claim) is Settled.DUPLICATE
    assert await queue.counts(job) == (0, 0, 5, 0, 0)
    assert len(await queue.store.results(job)) == 1


async def test_of_two_settlements_at_once_one_counts(queue: Any) -> None:
    job = await queue.submit(5)
    claim = await queue.claim()
    found = await asyncio.gather(*(queue.succeed(claim) for _ in range(5)))
    assert sorted(found).count(Settled.SETTLED) == 1
    assert await queue.counts(job) == (0, 0, 5, 0, 0)


async def test_a_settlement_of_a_lease_that_was_taken_over_is_stale(queue: Any) -> None:
    job = await queue.submit(5)
    zombie = await queue.claim(seconds=0)
    taken = await queue.store.take_over(worker="reaper", seconds=60)
    assert isinstance(taken, Claim)
    assert taken.lease != zombie.lease
    assert taken.chunks == zombie.chunks
    assert await queue.succeed(zombie) is Settled.STALE
    assert await queue.counts(job) == (0, 5, 0, 0, 0)
    assert await queue.succeed(taken) is Settled.SETTLED
    assert await queue.succeed(zombie) is Settled.STALE
    assert await queue.counts(job) == (0, 0, 5, 0, 0)


async def test_a_lease_that_nobody_ever_held_is_stale(queue: Any) -> None:
    assert await queue.store.settle(Settlement(lease=987654321)) is Settled.STALE


async def test_values_are_not_kept_where_nobody_wants_them(queue: Any) -> None:
    job = await queue.submit(5, keep_results=False)
    claim = await queue.claim()
    assert not claim.chunks[0].keep_results
    await queue.succeed(claim)
    assert await queue.counts(job) == (0, 0, 5, 0, 0)
    assert await queue.store.results(job) == []


async def test_released_chunks_are_as_they_were(queue: Any) -> None:
    job = await queue.submit(20, chunk=10)
    claim = await queue.claim()
    assert await queue.store.release(claim.lease) is True
    assert await queue.store.release(claim.lease) is False
    assert await queue.counts(job) == (20, 0, 0, 0, 0)
    again = await queue.claim()
    assert again.chunks == claim.chunks
    assert await queue.succeed(claim) is Settled.STALE


async def test_results_are_read_in_pages_while_the_job_runs(queue: Any) -> None:
    job = await queue.submit(50, chunk=10)
    for _ in range(3):
        await queue.succeed(await queue.claim(items=10))
    first = await queue.store.results(job, limit=2)
    assert [result.places for result in first] == [((0, 10),), ((10, 10),)]
    rest = await queue.store.results(job, after=first[-1].number)
    assert [result.places for result in rest] == [((20, 10),)]
    await queue.drain()
    assert len(await queue.store.results(job, after=rest[-1].number)) == 2


async def test_results_are_read_by_kind(queue: Any) -> None:
    job = await queue.submit(30, chunk=10)
    await queue.succeed(await queue.claim(items=10))
    await queue.kill(await queue.claim(items=10))
    (bad,) = await queue.store.results(job, kind=ResultKind.FAILED)
    assert (bad.kind, bad.places, bad.items) == (ResultKind.FAILED, ((10, 10),), 10)
    assert len(await queue.store.results(job)) == 2


async def test_results_are_read_by_place(queue: Any) -> None:
    job = await queue.submit(50, chunk=10)
    await queue.drain()
    found = await queue.store.results_between(job, 8, 21)
    assert sorted(result.places for result in found) == [((0, 10),), ((10, 10),), ((20, 10),)]


async def test_what_no_batch_has_taken_can_be_read_back(queue: Any) -> None:
    job = await queue.submit(50, chunk=10)
    await queue.succeed(await queue.claim(items=10))
    await queue.retry(await queue.claim(items=10), delay=100)
    running = await queue.claim(items=10)
    first = await queue.store.unprocessed(job, limit=2)
    rest = await queue.store.unprocessed(job, after=first[-1].id)
    found = [place for chunk in [*first, *rest] for place, _ in chunk.places]
    assert sorted(found) == [10, 30, 40]
    assert running.chunks[0].places[0][0] not in found
