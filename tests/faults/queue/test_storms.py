"""Everything at once: all items fail, all workers want the same item, all items become due together."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from typing import Any

from gristmill.model.chunk import Chunk, cut
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.store import Store
from gristmill.queue.url import store_from

STORM = range(1000, 3000)
"""Items that the worker's handler fails."""

FRESH = range(10)
SIZE = 100


async def _counts(worker: Any) -> dict[str, int]:
    """Tell *worker* to go, and return what it had done."""
    worker.signal(signal.SIGTERM)
    said = await worker.says("counts")
    return {name: int(number) for name, number in re.findall(r"'(\w+)': (\d+)", said)}


async def test_fresh_work_is_done_while_everything_else_fails_and_is_tried_again_at_once(mill: Any) -> None:
    worker = await mill.worker(
        "--mode", "storm", "--size", str(SIZE), "--attempts", "1000000", "--base", "0", "--breaker", "0"
    )
    storm = await mill.jobs.enqueue("numbers", STORM)
    sizes = []
    for number in FRESH:
        fresh = await mill.jobs.enqueue("numbers", [number])
        sizes.append((mill.folder / "seen").stat().st_size)
        assert (await fresh.wait(240)).counts.succeeded == 1
    assert not (await storm.status()).state.is_final
    await storm.cancel()
    assert (await mill.done(storm.id)).counts.cancelled == len(STORM)
    counts = await _counts(worker)
    seen = (mill.folder / "seen").read_bytes()
    for number, size in zip(FRESH, sizes, strict=True):
        # It ran once, behind what was due before it, and before what failed after it came.
        assert seen.count(b"\n%d 1 " % number) == 1
        assert seen.count(b"\n", size, seen.index(b"\n%d 1 " % number)) <= len(STORM) + 4 * SIZE
    # The store is asked for batches, however many items fail in them.
    batches = seen.count(b"\n") / SIZE
    assert counts["claimed"] <= batches + len(FRESH) + 2
    assert counts["settled"] <= counts["claimed"]


async def test_the_retries_of_a_storm_are_spread_over_the_whole_wait(mill: Any) -> None:
    await mill.worker(
        "--mode", "storm", "--size", str(SIZE), "--attempts", "2", "--base", "1.5", "--breaker", "0"
    )
    storm = await mill.jobs.enqueue("numbers", STORM)
    assert (await mill.done(storm.id)).counts.failed == len(STORM)
    tried: dict[int, dict[int, float]] = {1: {}, 2: {}}
    for item, attempt, at in mill.moments():
        tried[attempt][item] = at
    waits = sorted({tried[2][item] - at for item, at in tried[1].items()})
    # 20 chunks: by chance alone it is otherwise once in 500,000 times.
    assert waits[0] < 0.75 < waits[-1]
    assert mill.seen() == dict.fromkeys(STORM, 2)


OPENS_AFTER = 5
COOL_DOWN = 0.2  # of worker.py


async def test_an_outage_costs_a_few_batches_an_attempt_and_nobody_dies_of_it(mill: Any) -> None:
    options = (
        "--size",
        str(SIZE),
        "--attempts",
        "5",
        "--base",
        "0",
        "--breaker",
        str(OPENS_AFTER),
        "--beside",
    )
    worker = await mill.worker("--mode", "outage", *options)
    job = await mill.jobs.enqueue("numbers", STORM)
    while (mill.folder / "seen").read_bytes().count(b"\n") < SIZE * (OPENS_AFTER + 2):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    beside = await mill.jobs.enqueue("beside", FRESH)
    alone_until, tried_alone = time.monotonic(), len(mill.moments())
    fresh = await mill.jobs.enqueue("numbers", FRESH)
    assert (await beside.wait(240)).counts.succeeded == len(FRESH)
    assert (await job.status()).counts.succeeded == (await fresh.status()).counts.succeeded == 0
    mill.go()
    gone_at = time.monotonic()
    assert (await fresh.wait(240)).counts.succeeded == len(FRESH)
    assert (await mill.done(job.id)).counts.succeeded == len(STORM)

    # What was tried meanwhile: the batches that opened it, and after each cool-down one; once another job
    # waits behind it, each batch of this one once without a cool-down, too.
    moments = mill.moments()
    began_at = min(at for _, _, at in moments)
    assert tried_alone <= SIZE * (OPENS_AFTER + 1 + (alone_until - began_at) / COOL_DOWN)
    tried = OPENS_AFTER + 1 + len(STORM) / SIZE + (gone_at - began_at) / COOL_DOWN
    assert len(moments) - len(STORM) - len(FRESH) <= SIZE * tried
    # The store was asked for each batch twice, and for the one that was claimed ahead as it opened.
    counts = await _counts(worker)
    assert counts["openings"] == 1
    assert counts["released"] <= 1
    assert counts["claimed"] == counts["settled"] + counts["released"]
    assert counts["settled"] <= len({at for _, _, at in moments})


async def test_of_many_workers_that_wait_for_one_item_one_claims_it(mill: Any) -> None:
    workers = [await mill.worker() for _ in range(4)]
    for number in range(10):
        await (await mill.jobs.enqueue("numbers", [number])).wait(240)
    counts = [await _counts(worker) for worker in workers]
    assert sum(each["claimed"] for each in counts) == 10
    assert sum(each["settled"] for each in counts) == 10
    assert mill.seen() == dict.fromkeys(range(10), 1)


ITEMS = 20_000
STEP = 1000


async def test_very_many_items_that_become_due_at_once_are_claimed_in_bounded_steps(mill: Any) -> None:
    await mill.jobs.open()
    store = mill.jobs.store
    due = await store.now() + 1.5
    job = NewJob(id=f"job_{1:026d}", queue="numbers", run_at=due)
    texts = (str(number).encode() for number in range(ITEMS))
    await store.enqueue([(job, list(cut(texts, job=job.id, max_items=1, max_bytes=1 << 20)))])
    other = store_from(mill.url)
    await other.open()
    try:
        seen = await asyncio.gather(*(_drain(each, job.id) for each in (store, other)))
    finally:
        await other.close()
    assert sorted(place for each in seen for place in each) == list(range(ITEMS))
    assert (await mill.done(job.id)).counts.succeeded == ITEMS
    assert await store.now() >= due


async def _drain(store: Store, job: str) -> list[int]:
    """Claim and settle until *job* is final; return the places of its items that were claimed."""
    seen: list[int] = []
    while True:
        async with asyncio.timeout(20):  # less than any lease, so that nobody waits for one to end
            found = await store.claim("numbers", worker="w", max_items=STEP, max_bytes=1 << 20, seconds=60)
        if isinstance(found, Claim):
            assert found.items <= STEP
            seen += [chunk.places[0][0] for chunk in found.chunks]
            settlement = Settlement(lease=found.lease, results=tuple(map(_done, found.chunks)))
            assert await store.settle(settlement) is Settled.SETTLED
        elif (status := await store.job(job)) is None or status.state.is_final:
            return seen
        else:
            await store.wait(["numbers"], 1.0 if found.due_in is None else min(1.0, found.due_in))


def _done(chunk: Chunk) -> NewResult:
    return NewResult(
        job=chunk.job,
        kind=ResultKind.SUCCEEDED,
        places=chunk.places,
        items=chunk.items,
        body=chunk.body,
    )
