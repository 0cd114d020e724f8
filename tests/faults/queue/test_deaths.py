"""Workers that die, freeze or are told to go, at every point of a batch."""

from __future__ import annotations

import signal
from typing import Any

from gristmill.model.job import JobState


async def test_a_kill_after_the_claim_and_before_the_handler_costs_no_attempt(mill: Any) -> None:
    first = await mill.worker("--mode", "wait_before", "--lease", "1")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await first.says("holding")
    await first.kill()
    await mill.worker("--lease", "1")
    done = await mill.done(ref.id)
    assert done.counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(10), 1)
    assert {attempt for _, attempt in mill.attempts()} == {1}


async def test_a_kill_after_the_effects_and_before_the_settlement_runs_them_once_more(mill: Any) -> None:
    first = await mill.worker("--mode", "wait_after", "--lease", "1")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await first.says("holding")
    await first.kill()
    await mill.worker("--lease", "1")
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(10), 2)


async def test_a_worker_that_froze_settles_nothing_when_it_wakes(mill: Any) -> None:
    zombie = await mill.worker("--mode", "wait_after", "--lease", "1")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await zombie.says("holding")
    await mill.freeze(zombie)
    await mill.worker("--lease", "1")
    assert (await mill.done(ref.id)).counts.succeeded == 10
    mill.go()
    zombie.signal(signal.SIGCONT)
    zombie.signal(signal.SIGTERM)
    await zombie.says("counts")
    assert await zombie.ended() == 0
    found = await mill.done(ref.id)
    assert found.counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(10), 2)


async def test_a_handler_that_blocks_its_loop_keeps_its_batch(mill: Any) -> None:
    busy = await mill.worker("--mode", "block", "--lease", "1")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await busy.says("holding")
    other = await mill.worker("--lease", "1")
    blocker = await mill.jobs.enqueue("numbers", [100])
    # The other worker takes what comes, and in all that time takes nothing over.
    assert (await mill.jobs.wait(blocker.id, timeout=240)).counts.succeeded == 1
    for number in range(101, 106):
        await (await mill.jobs.enqueue("numbers", [number], delay=0.5)).wait(240)
    assert all(mill.seen()[item] == 1 for item in range(10))
    mill.go()
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen()[0] == 1
    assert other.process.returncode is None


async def test_an_item_that_kills_its_process_is_found_and_its_neighbours_finish(mill: Any) -> None:
    ref = await mill.jobs.enqueue("numbers", range(64))
    deaths = 0
    while not (await ref.status()).state.is_final:
        worker = await mill.worker("--mode", "poison", "--lease", "1", "--crashes", "2", "--size", "64")
        ended = await _ended_or_done(worker, ref)
        deaths += ended
    done = await mill.done(ref.id)
    assert (done.counts.succeeded, done.counts.failed) == (63, 1)
    assert 3 <= deaths <= 6 + 3 + 2
    (dead,) = [item async for item in mill.jobs.results(ref.id) if item.failure]
    assert (dead.place, dead.failure.code) == (13, "crashed")
    assert mill.seen()[13] <= 1 + 6 + 3


async def _ended_or_done(worker: Any, ref: Any) -> bool:
    import asyncio  # noqa: PLC0415 - only here

    ended = asyncio.create_task(worker.ended())
    final = asyncio.create_task(ref.wait(240))
    await asyncio.wait([ended, final], return_when=asyncio.FIRST_COMPLETED)
    died = ended.done()
    for task in (ended, final):
        task.cancel()
    await asyncio.wait([ended, final])
    await worker.kill()
    return died


async def test_a_worker_that_is_told_to_go_gives_its_batch_back_without_penalty(mill: Any) -> None:
    first = await mill.worker("--mode", "wait_before", "--lease", "60")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await first.says("holding")
    first.signal(signal.SIGTERM)
    assert "'released': 1" in await first.says("counts")
    assert await first.ended() == 0
    found = await ref.status()
    assert (found.state, found.counts.queued) == (JobState.QUEUED, 10)
    await mill.worker("--lease", "60")
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert {attempt for _, attempt in mill.attempts()} == {1}


async def test_a_worker_that_is_told_to_go_ends_its_batch_within_the_grace(mill: Any) -> None:
    first = await mill.worker("--mode", "wait_before", "--grace", "60")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await first.says("holding")
    first.signal(signal.SIGTERM)
    mill.go()
    assert "'settled': 1" in await first.says("counts")
    assert (await mill.done(ref.id)).counts.succeeded == 10


async def test_items_of_a_handler_that_no_worker_knows_stay_ready(mill: Any) -> None:
    from gristmill import batch  # noqa: PLC0415 - only here
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    @batch(name="letters")
    async def letters(items: list[str]) -> list[str]:
        return items

    newer = Jobs([letters], mill.url)
    await mill.worker()
    ref = await newer.enqueue(letters, ["a"])
    known = await mill.jobs.enqueue("numbers", [1])
    await mill.jobs.wait(known.id, timeout=240)
    assert (await ref.status()).state is JobState.QUEUED
    await newer.stop()


async def test_many_workers_share_the_work_and_nothing_is_lost_when_they_die_at_random(mill: Any) -> None:
    import random  # noqa: PLC0415 - only here

    chance = random.Random(7)
    refs = [await mill.jobs.enqueue("numbers", range(500)) for _ in range(4)]
    workers = [await mill.worker("--lease", "1", "--size", "20", "--crashes", "50") for _ in range(3)]
    for _ in range(6):
        victim = chance.randrange(3)
        await workers[victim].kill()
        workers[victim] = await mill.worker("--lease", "1", "--size", "20", "--crashes", "50")
    for ref in refs:
        assert (await mill.jobs.wait(ref.id, timeout=240)).counts.succeeded == 500
    for ref in refs:
        await mill.done(ref.id)
