"""Looking at jobs, cancelling, deleting and pruning them; dead items and their redrive."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError, JobNotFinal
from gristmill.model.job import JobState, Unique
from gristmill.model.lease import ResultKind, Settled
from gristmill.model.queue import DeadFilter
from gristmill.queue.reading import in_order

UNKNOWN = "job_00000000000000000000000999"


async def test_a_job_nobody_enqueued_is_not_there(queue: Any) -> None:
    assert await queue.store.job(UNKNOWN) is None
    assert await queue.store.cancel(UNKNOWN) is False
    assert await queue.store.delete(UNKNOWN) is False
    assert await queue.store.results(UNKNOWN) == []
    assert await queue.store.unprocessed(UNKNOWN) == []
    assert await queue.store.cancel_items(UNKNOWN, [0]) == 0


async def test_jobs_are_listed_newest_first_in_pages(queue: Any) -> None:
    jobs = [await queue.submit(1) for _ in range(5)]
    first = await queue.store.jobs(limit=2)
    second = await queue.store.jobs(limit=2, cursor=first.cursor)
    third = await queue.store.jobs(limit=2, cursor=second.cursor)
    assert [[job.id for job in page.jobs] for page in (first, second, third)] == [
        [jobs[4], jobs[3]],
        [jobs[2], jobs[1]],
        [jobs[0]],
    ]
    assert third.cursor is None


async def test_jobs_are_listed_by_queue_and_state(queue: Any) -> None:
    done = await queue.submit(1)
    await queue.drain()
    cancelled = await queue.submit(1)
    await queue.store.cancel(cancelled)
    running = await queue.submit(2)
    await queue.claim()
    waiting = await queue.submit(1)
    letters = await queue.submit(1, queue="letters")
    job, _ = queue.new(0)
    await queue.store.begin(job)
    by_state = {
        state: [job.id for job in (await queue.store.jobs(state=state, queue="numbers")).jobs]
        for state in JobState
    }
    assert by_state == {
        JobState.RECEIVING: [job.id],
        JobState.QUEUED: [waiting],
        JobState.RUNNING: [running],
        JobState.CANCELLING: [],
        JobState.COMPLETED: [done],
        JobState.CANCELLED: [cancelled],
    }
    assert [job.id for job in (await queue.store.jobs(queue="letters")).jobs] == [letters]


async def test_cancelling_ends_what_waits_and_lets_what_runs_end(queue: Any) -> None:
    job = await queue.submit(30, chunk=10)
    claim = await queue.claim(items=10)
    assert await queue.store.cancel(job) is True
    assert await queue.counts(job) == (0, 10, 0, 0, 20)
    assert (await queue.job(job)).state is JobState.CANCELLING
    await queue.nothing()
    assert await queue.succeed(claim) is Settled.SETTLED
    assert await queue.counts(job) == (0, 0, 10, 0, 20)
    found = await queue.job(job)
    assert found.state is JobState.CANCELLED
    assert found.finished_at is not None


async def test_what_would_run_again_of_a_cancelled_job_is_cancelled(queue: Any) -> None:
    job = await queue.submit(10)
    claim = await queue.claim()
    await queue.store.cancel(job)
    await queue.retry(claim)
    assert await queue.counts(job) == (0, 0, 0, 0, 10)
    assert (await queue.job(job)).state is JobState.CANCELLED
    await queue.nothing()


async def test_what_is_released_of_a_cancelled_job_is_cancelled(queue: Any) -> None:
    job = await queue.submit(10)
    claim = await queue.claim()
    await queue.store.cancel(job)
    assert await queue.store.release(claim.lease)
    assert await queue.counts(job) == (0, 0, 0, 0, 10)
    await queue.nothing()


async def test_cancelling_a_final_job_changes_nothing(queue: Any) -> None:
    job = await queue.submit(1)
    await queue.drain()
    assert await queue.store.cancel(job) is True
    assert (await queue.job(job)).state is JobState.COMPLETED


async def test_cancelling_frees_the_unique_key(queue: Any) -> None:
    job = await queue.submit(1, unique=Unique(key="k"))
    await queue.store.cancel(job)
    (found,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k"))])
    assert found.created


async def test_single_items_are_cancelled(queue: Any) -> None:
    job = await queue.submit(20, chunk=10)
    running = await queue.claim(items=10)
    assert await queue.store.cancel_items(job, [3, 12, 15, 99]) == 2
    assert await queue.counts(job) == (8, 10, 0, 0, 2)
    await queue.succeed(running)
    (chunk,) = (await queue.claim()).chunks
    assert chunk.places == ((10, 2), (13, 2), (16, 4))
    results = await queue.store.results(job, kind=ResultKind.CANCELLED)
    assert sorted(place for result in results for place, _ in result.places) == [12, 15]


async def test_a_job_whose_last_items_are_cancelled_is_final(queue: Any) -> None:
    job = await queue.submit(2)
    assert await queue.store.cancel_items(job, [0, 1]) == 2
    assert (await queue.job(job)).finished_at is not None
    await queue.nothing()


async def test_a_final_job_is_deleted_with_all_it_left(queue: Any) -> None:
    job = await queue.submit(20, chunk=10)
    await queue.succeed(await queue.claim(items=10))
    with pytest.raises(JobNotFinal):
        await queue.store.delete(job)
    await queue.kill(await queue.claim(items=10))
    assert await queue.store.delete(job) is True
    assert await queue.store.job(job) is None
    assert await queue.store.results(job) == []
    assert await queue.store.dead(DeadFilter()) == []
    assert await queue.store.redrive(DeadFilter()) == 0


async def test_dead_items_are_counted_by_code(queue: Any) -> None:
    for code, items in (("bad", 3), ("worse", 5), ("bad", 1)):
        await queue.submit(items)
        await queue.kill(await queue.claim(), code=code, error=f"so {code}")
    groups = await queue.store.dead(DeadFilter())
    assert [(group.queue, group.code, group.items, group.error) for group in groups] == [
        ("numbers", "worse", 5, "so worse"),
        ("numbers", "bad", 4, "so bad"),
    ]
    assert groups[1].first_at <= groups[1].last_at
    assert [group.items for group in await queue.store.dead(DeadFilter(code="bad"))] == [4]
    assert await queue.store.dead(DeadFilter(queue="letters")) == []
    (status,) = await queue.store.queues()
    assert status.dead == 9


async def test_redriven_items_run_again_as_if_for_the_first_time(queue: Any) -> None:
    job = await queue.submit(10)
    await queue.kill(await queue.claim())
    assert await queue.counts(job) == (0, 0, 0, 10, 0)
    assert await queue.store.redrive(DeadFilter(job=job)) == 10
    found = await queue.job(job)
    assert (found.state, found.finished_at) == (JobState.QUEUED, None)
    assert await queue.counts(job) == (10, 0, 0, 0, 0)
    claim = await queue.claim()
    assert [(chunk.attempt, chunk.crashes) for chunk in claim.chunks] == [(0, 0)]
    await queue.succeed(claim)
    assert await queue.counts(job) == (0, 0, 10, 0, 0)
    assert await queue.store.redrive(DeadFilter(job=job)) == 0


async def test_redriving_chooses(queue: Any) -> None:
    first = await queue.submit(2)
    await queue.kill(await queue.claim(), code="bad")
    second = await queue.submit(3)
    await queue.kill(await queue.claim(), code="worse")
    assert await queue.store.redrive(DeadFilter(before=1.0)) == 0
    assert await queue.store.redrive(DeadFilter(queue="letters")) == 0
    assert await queue.store.redrive(DeadFilter(code="worse")) == 3
    assert await queue.counts(first) == (0, 0, 0, 2, 0)
    assert await queue.counts(second) == (3, 0, 0, 0, 0)
    assert await queue.store.redrive(DeadFilter(), limit=1) == 2


async def test_queues_tell_how_they_stand(queue: Any) -> None:
    await queue.submit(4, chunk=2)
    await queue.submit(3, delay=100)
    await queue.claim(items=2)
    await queue.submit(1, key="a")
    await queue.submit(1, key="a")
    (status,) = await queue.store.queues()
    assert (status.name, status.ready, status.scheduled, status.blocked, status.running, status.dead) == (
        "numbers", 3, 3, 1, 2, 0,
    )  # fmt: skip
    assert 0 <= status.oldest_age < 60


async def test_what_was_redriven_has_no_outcome_by_its_place_until_it_has_another(queue: Any) -> None:
    job = await queue.submit(6, chunk=2)
    for act in (queue.succeed, queue.kill, queue.succeed):
        await act(await queue.claim(items=2))

    async def by_place() -> list[str]:
        return [str(each.kind) async for each in in_order(queue.store, job, 6)]

    async def as_settled() -> list[tuple[str, int]]:
        return [(str(each.kind), each.items) for each in await queue.store.results(job)]

    settled = await as_settled()
    assert settled == [("succeeded", 2), ("failed", 2), ("succeeded", 2)]
    assert await by_place() == ["succeeded"] * 2 + ["failed"] * 2 + ["succeeded"] * 2
    for act, then in ((queue.kill, "failed"), (queue.succeed, "succeeded")):
        assert await queue.store.redrive(DeadFilter(job=job)) == 2
        assert await by_place() == ["succeeded"] * 2
        assert await as_settled() == settled
        claim = await queue.claim()
        assert await by_place() == ["succeeded"] * 2
        await act(claim)
        assert await by_place() == ["succeeded"] * 2 + [then] * 2 + ["succeeded"] * 2
        settled.append((then, 2))
    assert await as_settled() == settled
    assert await queue.store.results(job, after=(await queue.store.results(job))[-1].number) == []
    assert [each.items for each in await queue.store.results(job, kind=ResultKind.FAILED)] == [2, 2]


async def test_old_final_jobs_are_pruned_and_others_stay(queue: Any) -> None:
    done = [await queue.submit(2) for _ in range(5)]
    await queue.drain()
    waiting = await queue.submit(1)
    assert await queue.store.prune("numbers", older_than=3600) == 0
    assert await queue.store.prune("numbers", older_than=-1, limit=3) == 3
    assert await queue.store.prune("numbers", older_than=-1) == 2
    assert [await queue.store.job(job) for job in done] == [None] * 5
    assert await queue.store.results(done[0]) == []
    assert await queue.store.job(waiting) is not None
    assert await queue.drain() == [0]


async def test_old_jobs_of_other_queues_are_left_to_those_who_work_them(queue: Any) -> None:
    first, other, last = [await queue.submit(0, queue=name) for name in ("numbers", "letters", "numbers")]
    assert await queue.store.prune("numbers", older_than=-1) == 2
    assert [await queue.store.job(job) for job in (first, last)] == [None, None]
    assert await queue.store.job(other) is not None
    assert await queue.store.prune("letters", older_than=-1) == 1
    assert await queue.store.job(other) is None


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "\u0663"])
async def test_a_cursor_that_no_page_had_is_refused(queue: Any, cursor: str) -> None:
    await queue.submit(1)
    with pytest.raises(ConfigurationError):
        await queue.store.jobs(cursor=cursor)


async def test_nothing_hinders_a_store_that_is_left_alone(queue: Any) -> None:
    assert await queue.store.hindrances() == []
