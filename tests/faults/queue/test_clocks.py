"""Workers whose own clock is wrong, or jumps."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

HOUR = "3600"
WRONG = pytest.mark.parametrize(
    "clock", [(HOUR,), (f"-{HOUR}",), (HOUR, f"-{HOUR}")], ids=["ahead", "behind", "jumping"]
)


@WRONG
@pytest.mark.parametrize("store_kind", ["postgres", "redis"])
async def test_a_worker_with_a_wrong_clock_keeps_its_leases_and_takes_nobody_elses(
    mill: Any, clock: tuple[str, ...]
) -> None:
    holder = await mill.worker("--mode", "block", "--lease", "1")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await holder.says("holding")
    wrong = await mill.worker("--lease", "1", "--clock", *clock)
    # In all this time the one with the wrong clock works, and finds no lease that died.
    for number in range(100, 104):
        await (await mill.jobs.enqueue("numbers", [number], delay=0.5)).wait(240)
    await wrong.kill()
    assert (await ref.status()).counts.running == 10
    mill.go()
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert set(mill.seen().values()) == {1}
    holder.signal(signal.SIGTERM)
    counts = await holder.says("counts")
    assert "'stale': 0" in counts
    assert "'lost': 0" in counts


@WRONG
@pytest.mark.parametrize("store_kind", ["postgres", "redis"])
async def test_a_worker_with_a_wrong_clock_runs_what_is_due_and_nothing_else(
    mill: Any, clock: tuple[str, ...]
) -> None:
    later = await mill.jobs.enqueue("numbers", [1], delay=1800)
    await mill.worker("--lease", "1", "--clock", *clock)
    soon = [await mill.jobs.enqueue("numbers", [number], delay=0.2) for number in (100, 101)]
    at_once = [await mill.jobs.enqueue("numbers", [number]) for number in (102, 103)]
    for ref in soon + at_once:
        await ref.wait(240)
    assert mill.seen() == dict.fromkeys(range(100, 104), 1)
    await later.cancel()
    assert (await mill.done(later.id)).counts.cancelled == 1


@WRONG
@pytest.mark.parametrize("store_kind", ["postgres", "redis"])
async def test_what_a_dead_worker_with_a_wrong_clock_held_is_taken_over_in_time(
    mill: Any, clock: tuple[str, ...]
) -> None:
    wrong = await mill.worker("--mode", "wait_before", "--lease", "1", "--clock", *clock)
    ref = await mill.jobs.enqueue("numbers", range(10))
    await wrong.says("holding")
    await wrong.kill()
    await mill.worker("--lease", "1")
    assert (await mill.done(ref.id, seconds=30)).counts.succeeded == 10


@pytest.mark.parametrize("store_kind", ["sqlite"])
async def test_a_jump_of_the_stores_own_clock_brings_a_batch_early_and_the_fence_holds(mill: Any) -> None:
    # In one file the store's clock is the machine's: after a jump ahead every lease looks dead.
    first = await mill.worker("--mode", "wait_before", "--lease", "60")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await first.says("holding")
    await mill.worker("--lease", "1", "--clock", HOUR)
    assert (await mill.done(ref.id)).counts.succeeded == 10
    mill.go()
    while mill.seen() != dict.fromkeys(range(10), 2):  # noqa: ASYNC110 - another process writes the file
        await asyncio.sleep(0)
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    found = await mill.done(ref.id)
    assert found.counts.succeeded == found.counts.total == 10
