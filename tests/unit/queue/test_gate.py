"""What a lane does while the circuit breaker of its queue is open."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from gristmill import Breaker, Failed, Retry, batch
from gristmill.errors import StoreUnavailable
from gristmill.model.chunk import Chunk, NewChunk
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim
from gristmill.model.queue import BreakerState
from gristmill.model.settling import Answers, Policy
from gristmill.queue.gate import Gate
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.options import QueueOptions
from gristmill.queue.service import Jobs

DOWN = Failed("down", "down", retryable=True)
ATTEMPTS = Retry(attempts=3, base=0.0)


def options(batches: int = 3, wait: float = 0.01, **others: Any) -> QueueOptions:
    return QueueOptions(
        retry=ATTEMPTS,
        breaker=Breaker(batches=batches, items=1, wait=wait, max_wait=max(wait, 60.0)),
        **others,
    )


def down_until_open(mill: Any, failing: Any) -> Any:
    """Fail every batch as *failing* does until the breaker opens."""

    def behave(items: list[int]) -> list[Any]:
        return failing(items) if not opened(mill) else items

    return behave


def opened(mill: Any) -> int:
    (status,) = mill.jobs.breakers()
    return int(status.openings)


def raising(_items: list[int]) -> list[Any]:
    raise ConnectionError("down")


def failing(items: list[int]) -> list[Any]:
    return [DOWN for _ in items]


@pytest.mark.parametrize("how", [raising, failing])
async def test_a_dead_downstream_costs_a_few_batches_an_attempt_and_no_item_its_life(
    mill: Any, how: Any
) -> None:
    jobs = mill.make(options(), max_size=2)
    mill.behave = down_until_open(mill, how)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(40))
    assert (await ref.wait(30)).counts.succeeded == 40
    assert len(mill.batches) == 20 + 3
    assert jobs.breakers()[0].state is BreakerState.CLOSED


async def test_a_batch_that_runs_out_of_time_has_failed(mill: Any) -> None:
    jobs = mill.make(options(batches=2), max_size=2, timeout=0.01)
    mill.gate.clear()
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(10))
    await mill.until(lambda: opened(mill))
    mill.gate.set()
    assert (await ref.wait(30)).counts.succeeded == 10


async def test_one_batch_is_tried_and_only_its_success_lets_the_others_go(mill: Any) -> None:
    jobs = mill.make(options(wait=0.3), max_size=1, concurrency=4)
    mill.behave = down_until_open(mill, raising)
    ref = await jobs.enqueue("numbers", range(20))
    await jobs.start()
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: opened(mill))
    mill.gate.clear()
    await mill.until(lambda: lane.is_busy)
    begun = len(mill.batches)
    while len(mill.batches) == begun:  # noqa: ASYNC110 - a real cool-down
        await asyncio.sleep(0.001)
    for _ in range(500):
        await asyncio.sleep(0)
    assert len(mill.batches) == begun + 1
    assert (await ref.status()).counts.running == 1
    mill.gate.set()
    assert (await ref.wait(30)).counts.succeeded == 20


async def test_what_was_claimed_ahead_is_given_back_unharmed_when_it_opens(mill: Any) -> None:
    jobs = mill.make(options(batches=1, wait=3600.0), max_size=1)
    mill.behave = raising
    mill.gate.clear()
    ref = await jobs.enqueue("numbers", range(3))
    await jobs.start()
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: lane.counts["claimed"] == 2)
    mill.gate.set()
    await mill.until(lambda: lane.counts["released"])
    await mill.until(lambda: not lane.is_busy)
    assert mill.batches == [[0]]
    assert (await ref.status()).counts.queued == 3
    found = await mill.store.claim("numbers", worker="w", max_items=9, max_bytes=999, seconds=60)
    assert sorted(chunk.attempt for chunk in found.chunks) == [0, 0, 1]


async def test_a_worker_stops_at_once_while_it_is_open(mill: Any) -> None:
    jobs = mill.make(options(batches=1, wait=3600.0), max_size=1)
    mill.behave = raising
    ref = await jobs.enqueue("numbers", range(3))
    await jobs.start()
    await mill.until(lambda: opened(mill))
    await jobs.worker.stop(grace=3600.0)
    assert (await ref.status()).counts.queued == 3


async def test_a_queue_that_is_paused_or_empty_when_it_might_be_tried_is_tried_later(mill: Any) -> None:
    jobs = mill.make(options(batches=1), max_size=2)
    mill.behave = down_until_open(mill, raising)
    mill.gate.clear()
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(10))
    await mill.until(lambda: mill.batches)
    await jobs.pause("numbers")
    mill.gate.set()
    while jobs.breakers()[0].state is not BreakerState.HALF_OPEN:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert (await ref.status()).counts.succeeded == 0
    await jobs.resume("numbers")
    assert (await ref.wait(30)).counts.succeeded == 10


async def test_a_batch_that_is_tried_and_tells_nothing_is_followed_by_another(mill: Any) -> None:
    jobs = mill.make(options(), max_size=1)
    bad: list[int] = []

    def behave(items: list[int]) -> list[Any]:
        if not opened(mill):
            raise ConnectionError
        bad[:] = bad or items
        return [Failed("bad", "bad") if items == bad else item for item in items]

    mill.behave = behave
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(10))
    counts = (await ref.wait(30)).counts
    assert (counts.succeeded, counts.failed) == (9, 1)


async def test_items_that_fail_for_good_do_not_open_it(mill: Any) -> None:
    jobs = mill.make(options(batches=1, wait=3600.0), max_size=1)
    mill.behave = lambda items: [Failed("bad", "bad") for _ in items]
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(20))
    assert (await ref.wait(30)).counts.failed == 20
    assert opened(mill) == 0


async def test_a_bad_job_does_not_hold_up_those_behind_it(mill: Any, caplog: Any) -> None:
    jobs = mill.make(options(wait=3600.0), max_size=2)

    def behave(items: list[int]) -> list[Any]:
        if min(items) < 0:
            raise KeyError
        return items

    mill.behave = behave
    bad = await jobs.enqueue("numbers", range(-20, 0))
    good = await jobs.enqueue("numbers", range(20))
    await jobs.start()
    assert (await good.wait(30)).counts.succeeded == 20
    assert f"are of {bad.id}, and other jobs wait" in caplog.text
    assert set(mill.attempts[:10]) == {1}


async def test_a_job_alone_waits_for_the_cool_down(mill: Any) -> None:
    jobs = mill.make(options(wait=3600.0), max_size=2)
    mill.behave = raising
    await jobs.enqueue("numbers", range(20))
    later = await jobs.enqueue("numbers", range(20), delay=3600.0)  # it does not wait for a worker
    await jobs.start()
    await mill.until(lambda: opened(mill))
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: not lane.is_busy)
    await asyncio.sleep(0.01)
    assert len(mill.batches) == 3
    await later.cancel()


async def test_an_outage_costs_the_first_of_many_jobs_one_attempt_and_the_others_next_to_none(
    mill: Any,
) -> None:
    jobs = mill.make(options(wait=3600.0), max_size=2)
    mill.behave = raising
    refs = [await jobs.enqueue("numbers", range(20)) for _ in range(5)]
    await jobs.start()
    await mill.until(lambda: len(mill.batches) >= 11)
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: not lane.is_busy)
    await asyncio.sleep(0.01)
    assert mill.attempts == [1] * 11
    assert [(await ref.status()).counts.queued for ref in refs] == [20] * 5


async def test_items_with_a_single_attempt_are_not_spent_to_see_whether_their_job_is_bad(mill: Any) -> None:
    made = options(wait=3600.0)
    jobs = mill.make(QueueOptions(retry=Retry(attempts=1), breaker=made.breaker), max_size=2)
    mill.behave = raising
    for _ in range(2):
        await jobs.enqueue("numbers", range(20))
    await jobs.start()
    await mill.until(lambda: opened(mill))
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: not lane.is_busy)
    await asyncio.sleep(0.01)
    assert len(mill.batches) == 3


async def test_without_a_breaker_every_attempt_is_made(mill: Any) -> None:
    jobs = mill.make(QueueOptions(retry=ATTEMPTS, breaker=None), max_size=1)
    mill.behave = raising
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(20))
    assert (await ref.wait(30)).counts.failed == 20
    assert len(mill.batches) == 60
    assert jobs.breakers()[0].state is BreakerState.CLOSED


async def test_ten_batches_in_a_row_open_it_by_default(mill: Any) -> None:
    jobs = mill.make(QueueOptions(retry=ATTEMPTS), max_size=1)
    mill.behave = raising
    await jobs.start()
    await jobs.enqueue("numbers", range(20))
    await mill.until(lambda: opened(mill))
    assert len(mill.batches) == 10


async def test_the_other_queues_of_the_worker_go_on() -> None:
    @batch(name="down", max_size=1)
    async def down(_items: list[int]) -> list[int]:
        raise ConnectionError

    @batch(name="up")
    async def up(items: list[int]) -> list[int]:
        return items

    jobs = Jobs([down, up], MemoryStore(), options={"down": options(batches=1, wait=3600.0)})
    try:
        worker = await jobs.start()
        waiting = await jobs.enqueue("down", range(3))
        while not jobs.breakers()[0].openings:  # noqa: ASYNC110 - turns of the loop, no time
            await asyncio.sleep(0)
        fresh = await jobs.enqueue("up", range(3))
        assert (await fresh.wait(30)).counts.succeeded == 3
        assert [lane.gate.status.state for lane in worker.lanes] == [BreakerState.OPEN, BreakerState.CLOSED]
        assert (await waiting.status()).counts.queued == 3
    finally:
        await jobs.stop(0)


async def test_batches_in_a_transaction_count_too(tmp_path: Path) -> None:
    @batch(name="numbers", max_size=1)
    async def numbers(items: list[int]) -> list[int]:
        if not jobs.breakers()[0].openings:
            raise ConnectionError
        return items

    jobs = Jobs(
        [numbers],
        f"sqlite:///{tmp_path}/jobs.db",
        options={"numbers": options(transactional=True)},
    )
    try:
        await jobs.start()
        ref = await jobs.enqueue("numbers", range(10))
        assert (await ref.wait(60)).counts.succeeded == 10
    finally:
        await jobs.stop(0)


def said(
    gate: Gate, ticket: int, failure: Failed | None, *, job: str = "j", place: int = 0, attempt: int = 0
) -> None:
    """Let *gate* know of a batch of one item."""
    chunk = Chunk(
        id=1,
        queue="q",
        job=job,
        places=((place, 1),),
        items=1,
        body=b"[0]",
        key=None,
        line=1,
        attempt=attempt,
        crashes=0,
    )
    answers = Answers(values=None, failures={} if failure is None else {0: failure})
    gate.note(ticket, Claim(lease=1, queue="q", chunks=(chunk,)), [answers])
    gate.leave(ticket)


@pytest.mark.looptime
async def test_it_is_said_once_that_it_opened_and_once_that_it_closed(caplog: Any) -> None:
    caplog.set_level(logging.INFO, "gristmill.queue")
    gate = Gate("q", Breaker(batches=2, items=1, wait=1.0, max_wait=4.0), Policy(), lambda: 0.5)
    loop = asyncio.get_running_loop()
    for failure in (DOWN, DOWN, DOWN, DOWN, None, None):
        await gate.enter()
        said(gate, gate.claimed(), failure)
    # The cool-downs were halfway between 1 and 2 s, and twice between 2 and 4 s.
    assert loop.time() == pytest.approx(1.5 + 3.0 + 3.0)
    first, second = caplog.records
    assert (first.levelname, first.getMessage()) == (
        "WARNING",
        "all batches of q fail, the last with down: none is claimed for 1.5 s, then one to see",
    )
    assert (second.levelname, second.getMessage()) == (
        "INFO",
        "a batch of q succeeded: it is worked again, after 7.5 s",
    )


@pytest.mark.looptime
async def test_a_batch_that_is_tried_and_hangs_does_not_hold_up_the_queue_for_ever() -> None:
    gate = Gate("q", Breaker(batches=1, items=1, wait=10.0, max_wait=10.0), Policy())
    said(gate, gate.claimed(), DOWN)
    await gate.enter()
    gate.claimed()  # and nothing is heard of it
    async with asyncio.timeout(1000.0):
        await gate.enter()
    said(gate, gate.claimed(), None)
    await gate.enter()
    assert asyncio.get_running_loop().time() == pytest.approx(10.0 + 10.0)


@pytest.mark.looptime
async def test_a_success_of_a_batch_that_ran_already_ends_the_cool_down() -> None:
    gate = Gate("q", Breaker(batches=1, items=1, wait=100.0, max_wait=100.0), Policy())
    early = gate.claimed()
    said(gate, gate.claimed(), DOWN)
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(10)
    said(gate, early, None)
    await waiting
    assert asyncio.get_running_loop().time() == pytest.approx(10)


class Suspicion:
    """A gate that opens at each failure of its queue, and the seconds until the next batch of it."""

    def __init__(self, store: MemoryStore) -> None:
        self.gate = Gate("q", Breaker(batches=1, items=1, wait=100.0, max_wait=100.0), Policy(retry=ATTEMPTS))
        self.store = store

    async def after(self, failure: Failed | None, **which: Any) -> float:
        await self.gate.enter()
        said(self.gate, self.gate.claimed(), failure, **which)
        await self.gate.look_around(self.store)
        began = asyncio.get_running_loop().time()
        await self.gate.enter()
        return asyncio.get_running_loop().time() - began


async def waiting(store: MemoryStore, *ids: str) -> Suspicion:
    """Store jobs of one item with *ids* whose items are due."""
    for each in ids:
        chunk = NewChunk(job=each, places=((0, 1),), items=1, body=b"[0]")
        await store.enqueue([(NewJob(id=each, queue="q"), [chunk])])
    return Suspicion(store)


@pytest.mark.looptime
async def test_each_batch_of_a_job_that_others_wait_behind_is_tried_once_without_a_cool_down() -> None:
    suspicion = await waiting(MemoryStore(), "bad", "good")
    for place in range(5):
        assert await suspicion.after(DOWN, job="bad", place=place) == 0.0
    assert await suspicion.after(DOWN, job="bad", place=5, attempt=1) == 0.0  # it was tried before all this
    assert await suspicion.after(DOWN, job="bad", place=3, attempt=1) >= 100.0  # nobody came between
    assert await suspicion.after(None, job="good") == 0.0
    assert await suspicion.after(DOWN, job="bad", place=3, attempt=1) == 0.0


@pytest.mark.looptime
async def test_a_second_job_that_fails_makes_it_an_outage() -> None:
    suspicion = await waiting(MemoryStore(), "a", "b", "c")
    assert await suspicion.after(DOWN, job="a") == 0.0
    assert await suspicion.after(DOWN, job="b") >= 100.0
    assert await suspicion.after(DOWN, job="a", place=1) >= 100.0


@pytest.mark.looptime
async def test_no_last_attempt_is_spent_on_a_suspicion() -> None:
    suspicion = await waiting(MemoryStore(), "bad", "good")
    assert await suspicion.after(DOWN, job="bad", attempt=ATTEMPTS.attempts - 1) >= 100.0


@pytest.mark.looptime
async def test_a_store_that_is_away_when_the_others_are_looked_for_leaves_the_cool_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suspicion = await waiting(MemoryStore(), "bad", "good")

    async def away(**_options: Any) -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(suspicion.store, "jobs", away)
    assert await suspicion.after(DOWN, job="bad") >= 100.0
