"""A worker whose own parts fail: nobody watches one that is embedded in a server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gristmill.model.queue import Hindrance
from gristmill.queue.options import QueueOptions
from gristmill.queue.schedule import Schedule


def _fails_once(monkeypatch: pytest.MonkeyPatch, store: Any, method: str) -> None:
    """Let the first call of a method of *store* meet a bug."""
    real = getattr(store, method)
    left = [ZeroDivisionError(f"a bug in {method}")]

    async def broken(*args: Any, **options: Any) -> Any:
        if left:
            raise left.pop()
        return await real(*args, **options)

    monkeypatch.setattr(store, method, broken)


@pytest.mark.looptime
async def test_what_hinders_the_store_is_told_when_it_is_seen_and_every_hour(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make()
    worker = await jobs.start()
    found: list[Hindrance] = []

    async def hindrances() -> list[Hindrance]:
        return found

    monkeypatch.setattr(mill.store, "hindrances", hindrances)

    async def told_after(seconds: float, *who: str) -> list[str]:
        caplog.clear()
        await asyncio.sleep(seconds)
        found[:] = [Hindrance(who=each, text=f"by {each}") for each in who]
        await worker.tell_hindrances()
        return [each.message for each in caplog.records if "about the store" in each.message]

    assert await told_after(0) == []
    assert await told_after(0, "a") == ["about the store of the queues: by a"]
    assert await told_after(1, "a", "b") == ["about the store of the queues: by b"]
    assert await told_after(1, "b") == []
    assert await told_after(1, "a", "b") == ["about the store of the queues: by a"]  # it had ended
    monkeypatch.setattr("gristmill.queue.worker._TELL_EVERY", 1.0)
    assert await told_after(2, "b") == ["about the store of the queues: by b"]


@pytest.mark.looptime
async def test_a_lane_that_fails_in_an_embedded_worker_is_told_of_at_once_and_begun_again(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make()
    _fails_once(monkeypatch, mill.store, "claim")
    await jobs.start_when_there()
    ref = await jobs.enqueue("numbers", range(4))
    assert (await ref.wait(60)).counts.succeeded == 4
    (said,) = [each for each in caplog.records if "failed, and is begun again" in each.message]
    assert said.message.startswith("gristmill lane numbers of worker ")
    assert said.exc_info[0] is ZeroDivisionError


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("method", "part"), [("take_over", "reaper"), ("prune", "pruner"), ("now", "scheduler")]
)
async def test_the_other_parts_are_begun_again_too(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any, method: str, part: str
) -> None:
    jobs = mill.make()
    jobs._schedules = [Schedule(name="s", cron="* * * * *", queue="numbers", items=[1])]  # noqa: SLF001
    _fails_once(monkeypatch, mill.store, method)
    await jobs.start_when_there()
    await asyncio.sleep(200)  # virtual seconds: each part has had its turn, and a second one
    assert [each for each in caplog.messages if f"gristmill {part} of worker" in each] != []
    assert all(not task.done() for task in worker_of(jobs)._tasks)  # noqa: SLF001 - what is to live on


def worker_of(jobs: Any) -> Any:
    assert jobs.worker is not None
    return jobs.worker


async def test_a_worker_that_somebody_watches_tells_them_and_ends_there(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = mill.make()
    _fails_once(monkeypatch, mill.store, "claim")
    worker = await jobs.start()
    assert isinstance(await worker.failure(), ZeroDivisionError)


async def test_what_dies_elsewhere_is_judged_by_the_options_of_its_queue(mill: Any) -> None:
    jobs = mill.make(QueueOptions(max_crashes=1))
    ref = await jobs.enqueue("numbers", [1])
    worker = await jobs.start(queues=[])
    for _ in range(2):
        await mill.store.claim("numbers", worker="dead", max_items=9, max_bytes=1 << 20, seconds=0)
        assert await worker.reap_one()
    assert (await ref.status()).counts.failed == 1
    assert (await jobs.dead())[0].code == "crashed"
