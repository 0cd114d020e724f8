"""Uploads whose process died, or was taken for dead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.silence import silence

from gristmill.errors import JobNotFound
from gristmill.model.job import JobState, Unique
from gristmill.model.lease import NewResult, ResultKind
from gristmill.queue.store import ABANDONED

HELD = Unique(key="k", seconds=3600, fingerprint="a")


async def _upload(queue: Any, items: int = 3, **options: Any) -> Any:
    job, chunks = queue.new(items, **{"unique": HELD, **options})
    assert (await queue.store.begin(job)).created
    await queue.store.add(job.id, chunks)
    return job


@pytest.mark.parametrize("unique", [HELD, Unique(key="k")], ids=["for a time", "until it is final"])
async def test_an_abandoned_upload_gives_way_to_a_job_under_its_key(queue: Any, unique: Unique) -> None:
    upload = await _upload(queue, unique=unique)
    await silence(queue.store, upload.id, ABANDONED + 1)
    other = Unique(key="k", seconds=3600, fingerprint="b")
    (made,) = await queue.store.enqueue([queue.new(2, unique=other)])
    assert made.created
    assert await queue.store.job(upload.id) is None
    assert await queue.store.ids(upload.id) == []
    (again,) = await queue.store.enqueue([queue.new(2, unique=other)])
    assert (again.job, again.created, again.matches) == (made.job, False, True)
    assert await queue.drain() == [0, 1]


async def test_an_abandoned_upload_gives_way_to_another_upload(queue: Any) -> None:
    upload = await _upload(queue)
    await silence(queue.store, upload.id, ABANDONED + 1)
    second = await _upload(queue, 2)
    await queue.store.abort(upload.id)
    await queue.store.commit(second.id)
    assert await queue.drain() == [0, 1]
    (repeat,) = await queue.store.enqueue([queue.new(2, unique=HELD)])
    assert (repeat.job, repeat.created) == (second.id, False)


async def test_an_upload_that_is_touched_keeps_its_key(queue: Any) -> None:
    upload = await _upload(queue)
    for _ in range(3):
        await silence(queue.store, upload.id, ABANDONED - 10)
        await queue.store.add(upload.id, ())
    await silence(queue.store, upload.id, ABANDONED - 10)
    (found,) = await queue.store.enqueue([queue.new(1, unique=HELD)])
    assert (found.job, found.created) == (upload.id, False)
    assert await queue.store.prune("numbers", older_than=-1) == 0
    await queue.store.commit(upload.id)
    assert await queue.drain() == [0, 1, 2]


async def test_items_that_can_never_run_touch_an_upload_too(queue: Any) -> None:
    upload = await _upload(queue)
    await silence(queue.store, upload.id, ABANDONED + 1)
    refused = NewResult(
        job=upload.id, kind=ResultKind.FAILED, places=((3, 1),), items=1, body=b'[{"code":"a"}]'
    )
    await queue.store.add(upload.id, (), refused=[refused])
    assert await queue.store.prune("numbers", older_than=-1) == 0


async def test_whoever_is_taken_for_dead_adds_and_commits_nothing_more(queue: Any) -> None:
    upload = await _upload(queue)
    await silence(queue.store, upload.id, ABANDONED + 1)
    (made,) = await queue.store.enqueue([queue.new(2, unique=HELD)])
    _, chunks = queue.new(5)
    for call in (
        queue.store.add(upload.id, chunks),
        queue.store.add(upload.id, ()),
        queue.store.commit(upload.id),
    ):
        with pytest.raises(JobNotFound):
            await call
    await queue.store.abort(upload.id)
    assert [job.id for job in (await queue.store.jobs()).jobs] == [made.job]
    assert await queue.drain() == [0, 1]


async def test_an_abandoned_upload_is_pruned(queue: Any) -> None:
    upload, other = [await _upload(queue, unique=Unique(key=key)) for key in "kl"]
    final = await queue.submit(0)
    await silence(queue.store, upload.id, ABANDONED + 1)
    assert await queue.store.prune("numbers", older_than=3600) == 1
    assert {job.id for job in (await queue.store.jobs()).jobs} == {other.id, final}
    await silence(queue.store, other.id, ABANDONED + 1)
    assert await queue.store.prune("numbers", older_than=-1, limit=1) == 1
    assert await queue.store.prune("numbers", older_than=-1) == 1


async def test_a_whole_job_is_never_abandoned(queue: Any) -> None:
    upload = await _upload(queue)
    await queue.store.commit(upload.id)
    await silence(queue.store, upload.id, 2 * ABANDONED)
    (found,) = await queue.store.enqueue([queue.new(1, unique=HELD)])
    assert (found.job, found.created) == (upload.id, False)
    assert (await queue.job(upload.id)).state is JobState.QUEUED


async def test_those_who_waited_behind_an_abandoned_upload_run_before_what_takes_its_place(
    queue: Any,
) -> None:
    upload = await _upload(queue, key="a")
    behind = await queue.submit(1, key="a")
    await queue.nothing()
    await silence(queue.store, upload.id, ABANDONED + 1)
    news = [queue.new(1, key="a"), queue.new(1, key="a", unique=HELD)]
    assert all(each.created for each in await queue.store.enqueue(news))
    order = [behind, *(job.id for job, _ in news)]
    for job in order:
        claim = await queue.claim()
        assert [chunk.job for chunk in claim.chunks] == [job]
        await queue.succeed(claim)


async def test_of_many_that_find_an_abandoned_upload_one_takes_its_place(queue: Any) -> None:
    upload = await _upload(queue)
    await silence(queue.store, upload.id, ABANDONED + 1)
    news = [queue.new(1, unique=HELD) for _ in range(10)]
    found = await asyncio.gather(*(queue.store.begin(job) for job, _ in news))
    assert sum(each.created for each in found) == 1
    assert len({each.job for each in found} - {upload.id}) == 1
