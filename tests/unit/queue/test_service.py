"""Enqueueing and looking, from Python."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gristmill import Failed, batch
from gristmill.errors import (
    ConfigurationError,
    InvalidItem,
    JobNotFinal,
    JobNotFound,
    UniqueConflict,
    UnknownHandler,
    UploadInFlight,
)
from gristmill.model.job import JobState
from gristmill.model.queue import DeadFilter
from gristmill.queue.following import follow
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.options import QueueOptions
from gristmill.queue.schedule import Schedule
from gristmill.queue.service import Jobs


async def test_an_unknown_handler_is_named_with_those_there_are(mill: Any) -> None:
    jobs = mill.make()
    with pytest.raises(UnknownHandler, match="no handler 'letters'; there are: numbers"):
        await jobs.enqueue("letters", [1])
    with pytest.raises(UnknownHandler):
        Jobs([mill.handler], "memory://", options={"letters": QueueOptions()})


async def test_a_bad_item_stores_nothing_and_says_which(mill: Any) -> None:
    jobs = mill.make()
    with pytest.raises(InvalidItem, match="item 2 cannot be an item of numbers") as caught:
        await jobs.enqueue("numbers", [1, 2, "x"])
    assert caught.value.index == 2
    assert (await jobs.list()).jobs == ()


async def test_one_item_is_no_list(mill: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a list of items, not str"):
        await mill.make().enqueue("numbers", "12")


async def test_many_items_are_stored_bit_by_bit_and_all_or_none(mill: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gristmill.queue.intake._WINDOW", 50)
    jobs = mill.make(max_size=7)
    ref = await jobs.enqueue("numbers", (n for n in range(1000)))
    assert (await ref.status()).counts.total == 1000

    async def broken() -> AsyncIterator[int]:
        for n in range(500):
            yield n
        raise OSError("the line went dead")

    with pytest.raises(OSError, match="went dead"):
        await jobs.enqueue("numbers", broken())
    assert [job.id for job in (await jobs.list()).jobs] == [ref.id]
    await jobs.start()
    assert (await ref.wait(10)).counts.succeeded == 1000
    assert [item.place async for item in ref.results(ordered=True)] == list(range(1000))


async def test_an_upload_under_a_key_that_is_held_stores_nothing(mill: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("gristmill.queue.intake._WINDOW", 50)
    jobs = mill.make()
    first = await jobs.enqueue("numbers", range(100), unique="k")
    second = await jobs.enqueue("numbers", range(100), unique="k")
    assert (second.id, first.created, second.created) == (first.id, True, False)


@pytest.mark.parametrize("fingerprint", ["a", "b"])
async def test_a_job_whose_items_are_still_coming_answers_for_no_other(
    mill: Any, monkeypatch: Any, fingerprint: str
) -> None:
    monkeypatch.setattr("gristmill.queue.intake._WINDOW", 50)
    jobs = mill.make()
    refused: list[UploadInFlight] = []

    async def items() -> AsyncIterator[int]:
        for n in range(100):
            yield n
        with pytest.raises(UploadInFlight) as caught:  # it may yet come to nothing, and this with it
            await jobs.enqueue("numbers", [1], unique="k", fingerprint=fingerprint)
        refused.append(caught.value)

    ref = await jobs.enqueue("numbers", items(), unique="k", fingerprint="a")
    assert [each.job for each in refused] == [ref.id]
    again = await jobs.enqueue("numbers", [1], unique="k", fingerprint="a")
    assert (again.id, again.created) == (ref.id, False)


async def test_a_unique_key_used_for_something_else_is_refused(mill: Any) -> None:
    jobs = mill.make()
    ref = await jobs.enqueue("numbers", [1], unique="k", unique_for=60, fingerprint="a")
    with pytest.raises(UniqueConflict) as caught:
        await jobs.enqueue("numbers", [2], unique="k", unique_for=60, fingerprint="b")
    assert caught.value.job == ref.id
    with pytest.raises(ConfigurationError, match="need unique"):
        await jobs.enqueue("numbers", [2], unique_for=60)


async def test_a_moment_needs_a_time_zone(mill: Any) -> None:
    jobs = mill.make()
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    ref = await jobs.enqueue("numbers", [1], run_at=later)
    assert abs((await ref.status()).due_at - later.timestamp()) < 0.001
    with pytest.raises(ConfigurationError, match="needs a time zone"):
        await jobs.enqueue("numbers", [1], run_at=later.replace(tzinfo=None))


async def test_results_are_read_on_from_a_cursor(mill: Any) -> None:
    jobs = mill.make(max_size=10)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(95))
    await ref.wait(10)
    everything = [item async for item in ref.results()]
    for stop in (1, 9, 10, 11, 50, 95):
        rest = [item async for item in ref.results(after=everything[stop - 1].cursor)]
        assert rest == everything[stop:]
    with pytest.raises(ConfigurationError, match="no cursor"):
        [item async for item in ref.results(after="x")]


async def test_a_reader_goes_on_after_the_cursor_in_either_order(mill: Any) -> None:
    jobs = mill.make(max_size=3)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(5))
    await ref.wait(10)
    for ordered in (False, True):
        every = [item async for item in ref.results(ordered=ordered)]
        rest = [item async for item in ref.results(ordered=ordered, after=every[1].cursor)]
        assert rest == every[2:]
        with pytest.raises(ConfigurationError, match="is no cursor"):
            await anext(ref.results(ordered=not ordered, after=every[1].cursor))


async def test_the_callers_ids_come_back_with_the_results(mill: Any) -> None:
    jobs = mill.make(max_size=2)
    await jobs.start()
    ref = await jobs.enqueue("numbers", [1, 2, 3], ids=["a", None, "c:3"])
    await ref.wait(10)
    for found in (ref.results(), ref.results(ordered=True), follow(jobs, ref.id)):
        assert {item.place: item.id async for item in found} == {0: "a", 1: None, 2: "c:3"}
    without = await jobs.enqueue("numbers", [1], ids=[None])
    await without.wait(10)
    assert [item.id async for item in without.results()] == [None]
    assert await jobs.ids(without.id) == []


@pytest.mark.parametrize(
    ("items", "ids", "told"),
    [
        ([1, 2], ["a"], "1 ids for 2 items"),
        ([1, 2], ["a", "a"], "'a' is given twice, the second time to item 1"),
        ([1], ["a b"], "the id of item 0 is 'a b': use 1 to 128 letters"),
        ([1], [7], "the id of item 0 is 7"),
        ([1], ["x" * 129], "the id of item 0"),
        (range(1), ["a"], "ids need items in a list"),
    ],
)
async def test_ids_that_are_none_store_nothing(mill: Any, items: Any, ids: Any, told: str) -> None:
    jobs = mill.make()
    with pytest.raises(ConfigurationError, match=told):
        await jobs.enqueue("numbers", items, ids=ids)
    assert (await jobs.list()).jobs == ()


async def test_ordered_results_stop_at_the_first_item_without_one(mill: Any) -> None:
    jobs = mill.make(max_size=1)
    ref = await jobs.enqueue("numbers", range(5))
    await jobs.cancel(ref.id, items=[0, 1, 3])
    assert [item.place async for item in ref.results(ordered=True)] == [0, 1]


async def test_unprocessed_items_come_back_as_they_were(mill: Any) -> None:
    jobs = mill.make(max_size=2)
    ref = await jobs.enqueue("numbers", [5, 6, 7, 8, 9])
    await mill.store.claim("numbers", worker="w", max_items=2, max_bytes=99, seconds=60)
    assert [text async for text in jobs.unprocessed(ref.id)] == [b"7", b"8", b"9"]


async def test_jobs_are_cancelled_retried_and_deleted(mill: Any) -> None:
    jobs = mill.make()
    ref = await jobs.enqueue("numbers", [1, 2])
    with pytest.raises(JobNotFinal):
        await jobs.delete(ref.id)
    assert await ref.cancel()
    assert (await ref.status()).state is JobState.CANCELLED
    assert await jobs.retry(ref.id) == 0
    assert await jobs.delete(ref.id)
    assert not await jobs.delete(ref.id)
    for call in (jobs.get, jobs.retry, jobs.wait):
        with pytest.raises(JobNotFound):
            await call(ref.id)


async def test_a_paused_queue_waits(mill: Any) -> None:
    jobs = mill.make()
    await jobs.start()
    await jobs.pause("numbers")
    ref = await jobs.enqueue("numbers", [1])
    with pytest.raises(TimeoutError):
        await ref.wait(0.05)
    await jobs.resume("numbers")
    assert (await ref.wait(10)).counts.succeeded == 1
    with pytest.raises(UnknownHandler):
        await jobs.pause("letters")


async def test_stopping_twice_and_without_a_start_does_no_harm(mill: Any) -> None:
    jobs = mill.make()
    await jobs.stop()
    await jobs.start()
    await jobs.stop()
    await jobs.stop()


async def test_each_queue_is_pruned_by_its_own_retention_and_that_of_others_is_not(mill: Any) -> None:
    mill.make()

    @batch(name="letters")
    async def letters(items: list[str]) -> list[str]:
        return items

    @batch(name="words")
    async def words(items: list[str]) -> list[str]:
        return items

    store = MemoryStore()
    others = Jobs([words], store)
    options = {"numbers": QueueOptions(retention=3600), "letters": QueueOptions(retention=0)}
    jobs = Jobs([mill.handler, letters], store, options=options)
    worker = await jobs.start()
    for name in ("numbers", "letters"):
        await (await jobs.enqueue(name, [])).wait(10)
    await (await others.enqueue("words", [])).wait(10)
    await worker.prune_all()
    assert {job.queue for job in (await jobs.list()).jobs} == {"numbers", "words"}
    await jobs.stop()


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_reader_is_told_of_a_job_that_is_removed_while_it_reads(mill: Any, *, ordered: bool) -> None:
    jobs = mill.make(max_size=1)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(2000))
    await ref.wait(60)
    seen = []

    async def read() -> None:
        async for item in jobs.results(ref.id, ordered=ordered):
            seen.append(item.place)
            await jobs.delete(ref.id)

    with pytest.raises(JobNotFound):
        await read()
    assert 0 < len(seen) < 2000


async def test_all_dead_items_run_again_however_many_and_each_once(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.queue.stored_jobs._AT_ONCE", 3)
    mill.make(max_size=2)
    mill.behave = lambda items: [Failed("no", "bad")] * len(items)
    store = Hasty()
    jobs = store.over = Jobs([mill.handler], store)
    worker = await jobs.start()
    ref = await jobs.enqueue("numbers", range(11))
    await ref.wait(10)
    assert await jobs.redrive(code="bad") == 11
    assert await jobs.retry(ref.id) == 11
    assert (await jobs.get(ref.id)).counts.failed == 11
    assert len(mill.batches) == 3 * 6
    await worker.stop()


class Hasty(MemoryStore):
    """Whatever is redriven has died again before the call returns."""

    over: Jobs

    async def redrive(self, which: DeadFilter, *, limit: int = 1_000_000) -> int:
        redriven = await super().redrive(which, limit=limit)
        for job in (await self.over.list()).jobs:
            await self.over.wait(job.id, timeout=10)
        return redriven


async def test_the_job_of_a_firing_is_kept_while_a_worker_that_starts_would_make_up_for_it(mill: Any) -> None:
    mill.make()
    options = {"numbers": QueueOptions(retention=0)}
    schedule = Schedule(name="s", cron="* * * * *", queue="numbers", items=[1])
    jobs = Jobs([mill.handler], MemoryStore(), options=options, schedules=[schedule])
    assert jobs.retention["numbers"] >= 120
    assert Jobs([mill.handler], MemoryStore(), options=options).retention == {"numbers": 0}


async def test_a_file_that_somebody_else_makes_is_worked_by_who_waits_for_it(
    mill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.queue.service._LOOK", 0.01)
    mill.make()
    url = f"sqlite:///{tmp_path / 'queue.db'}"
    jobs, others = Jobs([mill.handler], url), Jobs([mill.handler], url)
    await jobs.start_when_needed()
    await asyncio.sleep(0.05)
    assert jobs.is_new
    ref = await others.enqueue("numbers", [1, 2])
    assert (await ref.wait(10)).counts.succeeded == 2
    assert (jobs.worker is None, others.worker is None) == (False, True)
    await jobs.stop()
    await others.stop()


async def test_a_schedule_needs_no_first_job_to_fire(mill: Any, tmp_path: Path) -> None:
    mill.make()
    schedule = Schedule(name="s", cron="* * * * * *", queue="numbers", items=[1])
    jobs = Jobs([mill.handler], f"sqlite:///{tmp_path / 'queue.db'}", schedules=[schedule])
    await jobs.start_when_needed()
    await mill.until(lambda: [1] in mill.batches)
    await jobs.stop()


async def test_who_waits_for_a_file_can_be_stopped(mill: Any, tmp_path: Path) -> None:
    mill.make()
    jobs = Jobs([mill.handler], f"sqlite:///{tmp_path / 'queue.db'}")
    await jobs.start_when_needed()
    await jobs.stop()
    assert jobs.is_new
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "gristmill store watch"]


async def test_a_queue_that_was_stopped_can_be_opened_again(mill: Any, tmp_path: Path) -> None:
    mill.make()
    jobs = Jobs([mill.handler], f"sqlite:///{tmp_path / 'queue.db'}")
    ids = []
    for _ in range(3):
        await jobs.start()
        ref = await jobs.enqueue("numbers", [1, 2])
        assert (await ref.wait(10)).counts.succeeded == 2
        ids.append(ref.id)
        await jobs.stop()
    assert [job.id for job in (await jobs.list()).jobs] == ids[::-1]
    await jobs.stop()
