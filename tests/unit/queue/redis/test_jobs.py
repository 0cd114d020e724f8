"""Large jobs in several calls, rare states among many jobs, and what is left of jobs that are gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.silence import silence

from gristmill.errors import JobNotFound
from gristmill.model.chunk import again
from gristmill.model.job import JobState, Unique
from gristmill.model.lease import Claim, NewResult, ResultKind, Settlement
from gristmill.model.queue import DeadFilter
from gristmill.queue.redis import jobs as jobs_module
from gristmill.queue.store import ABANDONED


async def test_a_large_job_is_cancelled_deleted_and_pruned_in_several_calls(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "AT_ONCE", 10)
    server = lab.serve()
    store = lab.reach(server)
    job = lab.new(55, chunk=1)
    upload, chunks = lab.new(55, chunk=1, key="a")
    await store.enqueue([job])
    await store.begin(upload)
    await store.add(upload.id, chunks)
    assert await store.cancel(job[0].id)
    found = await store.job(job[0].id)
    assert (found.state, found.counts.cancelled) == (JobState.CANCELLED, 55)
    assert len(await store.results(job[0].id, kind=ResultKind.CANCELLED, limit=100)) == 55
    await store.abort(upload.id)
    assert await store.job(upload.id) is None
    assert await store.delete(job[0].id)
    assert await lab.ask(server, "EXISTS", "{gm}:cancelling") == 0
    (left,) = [name for name in await lab.ask(server, "KEYS", "*") if b"queue:" in name]
    assert await lab.ask(server, "HGET", left, "chunks") == b"0"


async def test_nothing_is_left_of_jobs_that_are_gone(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.enqueue([lab.new(40, chunk=10, key=key) for key in (None, "a", "b")])
    while isinstance(found := await lab.claim(store), Claim):
        dead, *rest = found.chunks
        chunks = (again(dead, code="bad"), *(again(each, attempt=1) for each in rest))
        failed = NewResult(
            job=dead.job, kind=ResultKind.FAILED, places=dead.places, items=dead.items, body=b"[]"
        )
        await store.settle(Settlement(lease=found.lease, chunks=chunks, results=(failed,)))
    assert await store.redrive(DeadFilter()) > 0
    while isinstance(found := await lab.claim(store), Claim):
        await lab.succeed(store, found)
    assert await store.prune("numbers", older_than=-1) == 3
    names = {name.decode().removeprefix("{gm}:") for name in await lab.ask(server, "KEYS", "*")}
    assert {name for name in names if not name.startswith("settled:")} <= {
        "last",
        "queues",
        "queue:numbers",
        "wake:numbers",
    }


async def test_jobs_of_a_rare_state_are_found_behind_many_others(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "AT_ONCE", 10)
    store = lab.reach(lab.serve())
    cancelled = lab.new()
    await store.enqueue([cancelled])
    await store.cancel(cancelled[0].id)
    await store.enqueue([lab.new() for _ in range(95)])
    page = await store.jobs(state=JobState.CANCELLED)
    assert [job.id for job in page.jobs] == [cancelled[0].id]
    assert page.cursor is None
    await lab.claim(store, items=1)
    assert len((await store.jobs(state=JobState.RUNNING)).jobs) == 1
    queued = await store.jobs(state=JobState.QUEUED, limit=40)
    rest = await store.jobs(state=JobState.QUEUED, limit=100, cursor=queued.cursor)
    assert len({job.id for job in (*queued.jobs, *rest.jobs)}) == 94


async def test_a_page_of_a_rare_state_may_be_short_and_go_on(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "AT_ONCE", 10)
    monkeypatch.setattr(jobs_module, "_LOOKED_AT", 20)
    store = lab.reach(lab.serve())
    cancelled = lab.new()
    await store.enqueue([cancelled])
    await store.cancel(cancelled[0].id)
    await store.enqueue([lab.new() for _ in range(50)])
    found, cursor, pages = [], None, 0
    while cursor is not None or pages == 0:
        page = await store.jobs(state=JobState.CANCELLED, cursor=cursor)
        found += page.jobs
        cursor, pages = page.cursor, pages + 1
    assert ([job.id for job in found], pages) == ([cancelled[0].id], 3)


async def test_items_of_one_chunk_are_cancelled_by_many_at_once(lab: Any) -> None:
    store = lab.reach(lab.serve())
    job = lab.new(20, chunk=20)
    await store.enqueue([job])
    places = [[number, number + 10, number + 100] for number in range(8)]
    counts = await asyncio.gather(*(store.cancel_items(job[0].id, each) for each in places))
    assert counts == [2] * 8
    (chunk,) = (await lab.claim(store)).chunks
    assert chunk.raws() == [b"8", b"9", b"18", b"19"]
    assert chunk.places == ((8, 2), (18, 2))
    assert (await store.job(job[0].id)).counts.cancelled == 16


async def test_a_large_abandoned_upload_gives_its_key_away_at_once_and_is_pruned_later(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    unique = Unique(key="k")
    upload, chunks = lab.new(1500, chunk=1, unique=unique)
    await store.begin(upload)
    await store.add(upload.id, chunks)
    await silence(store, upload.id, ABANDONED + 1)
    (made,) = await store.enqueue([lab.new(1, unique=unique)])
    assert made.created
    with pytest.raises(JobNotFound):
        await store.add(upload.id, chunks)
    with pytest.raises(JobNotFound):
        await store.commit(upload.id)
    assert await store.prune("numbers", older_than=3600) == 1
    assert await store.job(upload.id) is None
    (again,) = await store.enqueue([lab.new(1, unique=unique)])
    assert (again.job, again.created) == (made.job, False)
    claim = await lab.claim(store)
    await lab.succeed(store, claim)
    assert (claim.items, await store.prune("numbers", older_than=-1)) == (1, 1)
    assert await lab.ask(server, "HGET", "{gm}:queue:numbers", "chunks") == b"0"


async def test_many_chunks_of_an_upload_come_in_several_calls(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.queue.redis.store.AT_ONCE", 10)
    server = lab.serve()
    store = lab.reach(server)
    await store.open()
    job, chunks = lab.new(35, chunk=1)
    await store.begin(job)
    await lab.ask(server, "CONFIG", "RESETSTAT")
    await store.add(job.id, chunks)
    stats = await lab.ask(server, "INFO", "commandstats")
    assert sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval")) >= 4
    await store.commit(job.id)
    assert (await store.job(job.id)).counts.queued == 35
