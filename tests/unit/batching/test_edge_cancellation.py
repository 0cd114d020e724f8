"""A caller that gives up: edge cases 1 and 2 of coalescing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gristmill import batch
from gristmill.batching.frame import is_wanted

TAKES = 10.0  # virtual seconds

pytestmark = pytest.mark.looptime


async def test_a_waiter_cancelled_in_the_buffer_is_not_sent() -> None:
    seen: list[list[int]] = []

    @batch
    async def echo(items: list[int]) -> list[int]:
        seen.append(items)
        return items

    waiters = [echo(n) for n in range(4)]
    waiters[1].cancel()
    assert [await w for w in (waiters[0], waiters[2], waiters[3])] == [0, 2, 3]
    assert seen == [[0, 2, 3]]
    assert echo.stats().items["cancelled"] == 1


async def test_a_waiter_cancelled_while_its_batch_runs_leaves_its_neighbours_alone() -> None:
    started = asyncio.Event()
    release = asyncio.Event()

    @batch
    async def echo(items: list[int]) -> list[int]:
        started.set()
        await release.wait()
        return items

    waiters = [echo(n) for n in range(3)]
    await started.wait()
    waiters[0].cancel()
    release.set()
    assert await waiters[1] == 1
    assert await waiters[2] == 2
    assert waiters[0].cancelled()
    assert echo.stats().items == {"ok": 2, "failed": 0, "cancelled": 1, "expired": 0, "rejected": 0}


async def test_a_cancelled_caller_task_sees_its_cancellation() -> None:
    @batch
    async def slow(items: list[int]) -> list[int]:
        await asyncio.sleep(TAKES)
        return items

    async def caller() -> int:
        return await slow(1)

    task = asyncio.create_task(caller())
    neighbour = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await neighbour == 1


async def test_a_batch_whose_waiters_all_left_is_not_run() -> None:
    calls = 0

    @batch(max_wait=TAKES)
    async def echo(items: list[int]) -> list[int]:
        nonlocal calls
        calls += 1
        return items

    waiters = [echo(n) for n in range(3)]
    await asyncio.sleep(0)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.sleep(2 * TAKES)
    assert calls == 0
    assert echo.stats().pending == 0
    assert echo.stats().items["cancelled"] == 3


async def test_no_timer_is_left_when_the_waiters_all_left() -> None:
    @batch(max_wait=TAKES)
    async def echo(items: list[int]) -> list[int]:
        return items

    echo(1).cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert scheduled_timers() == 0


async def test_a_running_handler_goes_on_when_its_waiters_left() -> None:
    finished = asyncio.Event()

    @batch
    async def store(items: list[int]) -> list[int]:
        await asyncio.sleep(TAKES)
        finished.set()
        return items

    waiter = store(1)
    await asyncio.sleep(TAKES / 2)
    waiter.cancel()
    await asyncio.wait_for(finished.wait(), TAKES)
    assert store.stats().items["cancelled"] == 1


async def test_cancelling_many_drops_what_no_batch_has_taken() -> None:
    seen: list[list[int]] = []

    @batch(max_size=2)
    async def slow(items: list[int]) -> list[int]:
        seen.append(items)
        await asyncio.sleep(TAKES)
        return items

    task = asyncio.create_task(slow.many(range(10)))
    await asyncio.sleep(TAKES / 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await slow(99) == 99
    assert seen == [[0, 1], [99]]
    assert slow.stats().items == {"ok": 1, "failed": 0, "cancelled": 10, "expired": 0, "rejected": 0}


def scheduled_timers() -> int:
    loop = asyncio.get_running_loop()
    return sum(not handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]  # noqa: SLF001 - what a loop holds has no public name


@pytest.mark.parametrize("way", ["single", "list"])
async def test_whether_anybody_still_waits_is_known_while_the_batch_runs(way: str) -> None:
    told: list[bool] = []

    @batch
    async def slow(items: list[int]) -> list[int]:
        for _ in range(4):
            await asyncio.sleep(1.0)
            told.append(is_wanted())
        return items

    callers: list[asyncio.Future[Any]] = (
        [slow(1), slow(2)] if way == "single" else [asyncio.ensure_future(slow.many([1, 2]))]
    )
    await asyncio.sleep(1.5)
    callers.pop().cancel()
    await asyncio.sleep(1.0)
    for caller in callers:
        caller.cancel()
    await slow.aclose()
    assert told == ([True, True, False, False] if way == "single" else [True, False, False, False])
    assert is_wanted()  # outside of any batch there is nobody to ask about
