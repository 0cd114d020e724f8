"""Coming in: jobs, unique keys, uploads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gristmill.errors import JobNotFound
from gristmill.model.job import JobState, Unique, ids_to_json
from gristmill.model.lease import NewResult, ResultKind
from gristmill.model.queue import DeadFilter


async def test_a_job_is_there_with_all_its_items_once_enqueue_returns(queue: Any) -> None:
    job = await queue.submit(250, chunk=100, priority=2)
    found = await queue.job(job)
    assert (found.id, found.queue, found.state, found.priority) == (job, "numbers", JobState.QUEUED, 2)
    assert await queue.counts(job) == (250, 0, 0, 0, 0)
    assert found.finished_at is None
    assert abs(found.created_at - await queue.store.now()) < 60
    assert await queue.drain() == list(range(250))


async def test_the_text_of_an_item_is_kept_byte_for_byte(queue: Any) -> None:
    texts = [
        b'{"a": 1e400}',
        '"\u2028 \U0001f600 \u00e9"'.encode(),
        b"123456789012345678901234567890",
        b'"\\u0000"',
        b"[ 1 , 2]",
    ]
    job, _ = queue.new(0)
    from gristmill.model.chunk import cut  # noqa: PLC0415 - only here

    await queue.store.enqueue([(job, list(cut(texts, job=job.id, max_items=10, max_bytes=1 << 20)))])
    (chunk,) = (await queue.claim()).chunks
    assert chunk.raws() == texts


async def test_a_job_without_items_is_final_at_once(queue: Any) -> None:
    found = await queue.job(await queue.submit(0))
    assert found.state is JobState.COMPLETED
    assert found.finished_at is not None


async def test_many_jobs_are_stored_by_one_call(queue: Any) -> None:
    found = await queue.store.enqueue([queue.new(2) for _ in range(50)])
    assert all(each.created and each.matches for each in found)
    assert len({each.job for each in found}) == 50
    assert len(await queue.drain()) == 100


async def test_many_calls_at_once_are_all_stored(queue: Any) -> None:
    jobs = await asyncio.gather(*(queue.submit(1) for _ in range(200)))
    assert len(set(jobs)) == 200
    assert len(await queue.drain()) == 200


async def test_an_id_that_exists_is_a_duplicate_of_itself(queue: Any) -> None:
    new = queue.new(3)
    await queue.store.enqueue([new])
    (again,) = await queue.store.enqueue([new])
    assert (again.job, again.created, again.matches) == (new[0].id, False, True)
    assert await queue.drain() == [0, 1, 2]


async def test_a_unique_key_is_held_until_its_job_is_final(queue: Any) -> None:
    first = await queue.submit(1, unique=Unique(key="k"))
    (second,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k"))])
    assert (second.job, second.created) == (first, False)
    (other,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="other"))])
    assert other.created
    (elsewhere,) = await queue.store.enqueue([queue.new(1, queue="letters", unique=Unique(key="k"))])
    assert elsewhere.created
    await queue.drain()
    (third,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k"))])
    assert third.created


async def test_a_unique_key_may_be_held_longer_than_its_job_runs(queue: Any) -> None:
    first = await queue.submit(1, unique=Unique(key="k", seconds=3600))
    await queue.drain()
    (second,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k", seconds=3600))])
    assert (second.job, second.created) == (first, False)


async def test_a_unique_key_whose_time_is_over_is_free(queue: Any) -> None:
    await queue.submit(1, unique=Unique(key="k", seconds=0))
    (second,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k", seconds=3600))])
    assert second.created


async def test_another_submission_under_the_same_key_is_told_apart(queue: Any) -> None:
    await queue.submit(1, unique=Unique(key="k", seconds=60, fingerprint="a"))
    same, other = [
        (await queue.store.enqueue([queue.new(1, unique=Unique(key="k", seconds=60, fingerprint=mark))]))[0]
        for mark in "ab"
    ]
    assert (same.created, same.matches) == (False, True)
    assert (other.created, other.matches) == (False, False)


async def test_of_many_at_once_under_one_key_one_is_made(queue: Any) -> None:
    news = [queue.new(1, unique=Unique(key="k")) for _ in range(20)]
    found = await asyncio.gather(*(queue.store.enqueue([new]) for new in news))
    assert sum(each.created for (each,) in found) == 1
    assert len({each.job for (each,) in found}) == 1


async def test_of_two_under_one_key_in_one_call_one_is_made(queue: Any) -> None:
    found = await queue.store.enqueue([queue.new(1, unique=Unique(key="k")) for _ in range(2)])
    assert [each.created for each in found] == [True, False]
    assert found[0].job == found[1].job


async def test_an_upload_runs_when_it_is_whole(queue: Any) -> None:
    job, chunks = queue.new(300, chunk=100)
    assert (await queue.store.begin(job)).created
    await queue.store.add(job.id, chunks[:2])
    assert (await queue.job(job.id)).state is JobState.RECEIVING
    await queue.nothing()
    await queue.store.add(job.id, chunks[2:])
    await queue.store.commit(job.id)
    assert (await queue.job(job.id)).state is JobState.QUEUED
    assert await queue.drain() == list(range(300))
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_an_empty_upload_is_final(queue: Any) -> None:
    job, _ = queue.new(0)
    await queue.store.begin(job)
    await queue.store.commit(job.id)
    assert (await queue.job(job.id)).state is JobState.COMPLETED


async def test_items_that_can_never_run_count_as_failed(queue: Any) -> None:
    job, chunks = queue.new(3)
    await queue.store.begin(job)
    refused = NewResult(
        job=job.id, kind=ResultKind.FAILED, places=((3, 2),), items=2, body=b'[{"code":"a"},{"code":"b"}]'
    )
    await queue.store.add(job.id, chunks, refused=[refused])
    assert (await queue.job(job.id)).counts.total == 5
    await queue.store.commit(job.id)
    assert await queue.counts(job.id) == (3, 0, 0, 2, 0)
    (result,) = await queue.store.results(job.id, kind=ResultKind.FAILED)
    assert (result.places, result.items, result.body) == (refused.places, 2, refused.body)
    assert await queue.drain() == [0, 1, 2]
    assert await queue.counts(job.id) == (0, 0, 3, 2, 0)
    assert (await queue.job(job.id)).state is JobState.COMPLETED
    assert await queue.store.dead(DeadFilter(job=job.id)) == []
    assert await queue.store.redrive(DeadFilter(job=job.id)) == 0


async def test_an_upload_of_nothing_that_can_run_is_final(queue: Any) -> None:
    job, _ = queue.new(0)
    await queue.store.begin(job)
    refused = NewResult(job=job.id, kind=ResultKind.FAILED, places=((0, 1),), items=1, body=b'[{"code":"a"}]')
    await queue.store.add(job.id, [], refused=[refused])
    await queue.store.commit(job.id)
    assert (await queue.job(job.id)).state is JobState.COMPLETED
    assert await queue.counts(job.id) == (0, 0, 0, 1, 0)
    assert await queue.store.delete(job.id)


async def test_an_upload_that_is_given_up_leaves_nothing(queue: Any) -> None:
    job, chunks = queue.new(3, unique=Unique(key="k"))
    await queue.store.begin(job)
    await queue.store.add(job.id, chunks)
    await queue.store.abort(job.id)
    await queue.store.abort(job.id)
    assert await queue.store.job(job.id) is None
    await queue.nothing()
    (found,) = await queue.store.enqueue([queue.new(1, unique=Unique(key="k"))])
    assert found.created


async def test_items_are_added_to_uploads_only(queue: Any) -> None:
    job = await queue.submit(1)
    _, chunks = queue.new(1)
    for wrong in (job, "job_00000000000000000000000099"):
        with pytest.raises(JobNotFound):
            await queue.store.add(wrong, chunks)
        with pytest.raises(JobNotFound):
            await queue.store.commit(wrong)
    await queue.store.abort(job)
    assert await queue.store.job(job) is not None


async def test_a_large_body_comes_back_whole(queue: Any) -> None:
    from gristmill.model.chunk import cut  # noqa: PLC0415 - only here

    job, _ = queue.new(0)
    text = json.dumps("x" * 3_000_000).encode()
    await queue.store.enqueue([(job, list(cut([text], job=job.id, max_items=1, max_bytes=1)))])
    (chunk,) = (await queue.claim()).chunks
    assert chunk.raws() == [text]


async def test_the_callers_ids_are_kept_until_the_job_is_gone(queue: Any) -> None:
    ids = [f"{number:0128d}" if number % 3 else None for number in range(2000)]
    job = await queue.submit(2000, ids=ids_to_json(ids))
    assert await queue.store.ids(job) == ids
    assert [each.id for each in (await queue.store.jobs()).jobs] == [job]
    await queue.drain()
    assert await queue.counts(job) == (0, 0, 2000, 0, 0)
    assert await queue.store.ids(job) == ids
    assert await queue.store.delete(job)
    assert await queue.store.ids(job) == []


async def test_the_callers_ids_come_with_the_beginning_of_an_upload(queue: Any) -> None:
    job, chunks = queue.new(2, ids=ids_to_json(["a", None]))
    await queue.store.begin(job)
    await queue.store.add(job.id, chunks)
    await queue.store.commit(job.id)
    assert await queue.store.ids(job.id) == ["a", None]
    given_up, _ = queue.new(1, ids=ids_to_json(["a"]))
    await queue.store.begin(given_up)
    await queue.store.abort(given_up.id)
    assert await queue.store.ids(given_up.id) == []


async def test_a_job_has_its_own_ids_or_none(queue: Any) -> None:
    news = [queue.new(1, ids=ids) for ids in (b'["a"]', None, b'["b"]')]
    await queue.store.enqueue(news)
    assert [await queue.store.ids(job.id) for job, _ in news] == [["a"], [], ["b"]]
    assert await queue.store.ids("job_00000000000000000000000099") == []
