"""What a worker does with what it claims."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gristmill import Failed, Retry
from gristmill.errors import StoreUnavailable
from gristmill.model.job import JobState
from gristmill.model.lease import Claim, ResultKind, Settled, Settlement
from gristmill.queue.options import QueueOptions

QUICK = QueueOptions(retry=Retry(attempts=3, base=0.0))


async def outcomes(mill: Any, job: str) -> dict[int, Any]:
    found = {}
    async for item in mill.jobs.results(job):
        found[item.place] = json.loads(bytes(item.value)) if item.value else item.failure
    return found


async def test_every_item_of_a_job_gets_its_value(mill: Any) -> None:
    jobs = mill.make(max_size=10)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(35))
    done = await ref.wait(10)
    assert (done.state, done.counts.succeeded) == (JobState.COMPLETED, 35)
    assert await outcomes(mill, ref.id) == {n: n * 2 for n in range(35)}
    assert sorted(map(len, mill.batches)) == [5, 10, 10, 10]


async def test_jobs_of_single_items_share_batches(mill: Any) -> None:
    jobs = mill.make(max_size=50)
    refs = [await jobs.enqueue("numbers", [n]) for n in range(50)]
    await jobs.start()
    await asyncio.gather(*(ref.wait(10) for ref in refs))
    assert [len(each) for each in mill.batches] == [50]


async def test_an_item_that_fails_for_good_fails_alone(mill: Any) -> None:
    jobs = mill.make()
    mill.behave = lambda items: [Failed("it is odd", "odd") if n % 2 else n for n in items]
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    done = await ref.wait(10)
    assert (done.counts.succeeded, done.counts.failed) == (2, 2)
    found = await outcomes(mill, ref.id)
    assert found[0] == 0
    assert (found[1].code, found[1].message, found[1].attempts) == ("odd", "it is odd", 1)
    (group,) = await jobs.dead()
    assert (group.code, group.items, group.error) == ("odd", 2, "it is odd")
    assert len(mill.batches) == 1


async def test_a_long_code_is_cut_where_it_is_kept_and_where_it_is_asked_for(mill: Any) -> None:
    jobs = mill.make()
    code = "no such user: " + "x" * 10_000
    mill.behave = lambda items: [Failed("it is odd", code) if n % 2 else n for n in items]
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    await ref.wait(10)
    found = await outcomes(mill, ref.id)
    (group,) = await jobs.dead(code=code)
    assert group.code == found[1].code == code[:100]
    mill.behave = lambda items: items
    assert await jobs.redrive(code=code) == 2
    assert (await ref.wait(10)).counts.succeeded == 4


async def test_only_items_that_may_succeed_later_are_tried_again(mill: Any) -> None:
    jobs = mill.make(QUICK)
    seen: set[int] = set()

    def behave(items: list[int]) -> list[Any]:
        fresh = [n not in seen for n in items]
        seen.update(items)
        return [
            Failed("busy", "busy", retryable=True) if n == 2 and new else n
            for n, new in zip(items, fresh, strict=True)
        ]

    mill.behave = behave
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    assert (await ref.wait(10)).counts.succeeded == 4
    assert mill.batches == [[0, 1, 2, 3], [2]]
    assert mill.attempts == [1, 2]


async def test_an_item_is_dead_after_its_last_attempt(mill: Any) -> None:
    jobs = mill.make(QUICK)
    mill.behave = lambda items: [Failed("busy", "busy", retryable=True) for _ in items]
    await jobs.start()
    ref = await jobs.enqueue("numbers", [7])
    assert (await ref.wait(10)).counts.failed == 1
    assert mill.attempts == [1, 2, 3]
    assert (await outcomes(mill, ref.id))[0].attempts == 3


async def test_a_handler_that_raises_is_tried_again_and_its_text_kept_from_callers(mill: Any) -> None:
    jobs = mill.make(QUICK)

    def behave(_items: list[int]) -> list[Any]:
        raise ValueError("pw=hunter2")

    mill.behave = behave
    await jobs.start()
    ref = await jobs.enqueue("numbers", [7, 8])
    assert (await ref.wait(10)).counts.failed == 2
    assert mill.attempts == [1, 2, 3]
    found = await outcomes(mill, ref.id)
    assert (found[0].code, found[0].message) == ("handler_error", "")
    (group,) = await jobs.dead()
    assert group.error == "ValueError: pw=hunter2"  # operators see it


async def test_a_reply_of_the_wrong_length_is_no_silent_success(mill: Any) -> None:
    jobs = mill.make(QUICK)
    mill.behave = lambda items: items[:-1]
    await jobs.start()
    ref = await jobs.enqueue("numbers", [7, 8])
    assert (await ref.wait(10)).counts.failed == 2
    assert (await outcomes(mill, ref.id))[1].code == "handler_contract"
    assert mill.attempts == [1]


async def test_a_value_that_is_no_json_fails_alone(mill: Any) -> None:
    jobs = mill.make(QUICK)
    mill.behave = lambda items: [object() if n == 1 else float("nan") if n == 2 else n for n in items]
    await jobs.start()
    ref = await jobs.enqueue("numbers", [0, 1, 2, 3])
    done = await ref.wait(10)
    assert (done.counts.succeeded, done.counts.failed) == (2, 2)
    found = await outcomes(mill, ref.id)
    assert (found[0], found[1].code, found[2].code, found[3]) == (
        0,
        "handler_contract",
        "handler_contract",
        3,
    )


async def test_a_poison_item_is_bisected_within_its_batch(mill: Any) -> None:
    jobs = mill.make(QueueOptions(retry=Retry(attempts=1)), on_error="bisect", max_size=64)

    def behave(items: list[int]) -> list[Any]:
        if 13 in items:
            raise ValueError
        return items

    mill.behave = behave
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(64))
    done = await ref.wait(10)
    assert (done.counts.succeeded, done.counts.failed) == (63, 1)
    assert len(mill.batches) <= 1 + 2 * 6


async def test_a_stopped_worker_gives_back_what_it_could_not_end_without_penalty(mill: Any) -> None:
    jobs = mill.make()
    mill.gate.clear()
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    await mill.until(lambda: mill.batches)
    await jobs.worker.stop(grace=0)
    found = await ref.status()
    assert (found.state, found.counts.queued) == (JobState.QUEUED, 4)
    claim = await mill.store.claim("numbers", worker="w", max_items=9, max_bytes=999, seconds=60)
    assert isinstance(claim, Claim)
    assert [(chunk.attempt, chunk.crashes) for chunk in claim.chunks] == [(0, 0)]


async def test_a_stopped_worker_lets_what_runs_end_within_its_grace(mill: Any) -> None:
    jobs = mill.make()
    mill.gate.clear()
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    await mill.until(lambda: mill.batches)
    stopping = asyncio.create_task(jobs.worker.stop(grace=60))
    await asyncio.sleep(0)
    mill.gate.set()
    await stopping
    assert (await ref.status()).counts.succeeded == 4


async def test_a_batch_whose_lease_is_lost_is_stopped_and_not_recorded(mill: Any) -> None:
    jobs = mill.make()
    mill.gate.clear()
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    await mill.until(lambda: mill.batches)
    (lane,) = jobs.worker.lanes
    (lease,) = mill.store._tables.leases  # noqa: SLF001 - a lease that dies while its worker lives
    mill.store._tables.leases[lease].expires_at = 0.0  # noqa: SLF001 - as above
    taken = await mill.store.take_over(worker="other", seconds=60)
    assert taken is not None
    keeper = lane._keeper  # noqa: SLF001 - its next renewal would say so
    keeper._give_up({lease})  # noqa: SLF001 - as above
    await mill.until(lambda: lane.counts["lost"])
    await mill.until(lambda: not lane._running)  # noqa: SLF001 - as above
    assert (await ref.status()).counts.running == 4
    assert lane.counts["released"] == 0


async def test_a_lease_that_is_renewed_just_after_it_was_settled_is_not_lost(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = mill.make()
    settles = mill.store.settle

    async def settle(settlement: Settlement) -> Settled:
        settled: Settled = await settles(settlement)
        (lane,) = jobs.worker.lanes
        lost = await mill.store.renew([settlement.lease], 30)
        lane._keeper._give_up(lost)  # noqa: SLF001 - the thread's renewal, at the worst moment
        for _ in range(3):
            await asyncio.sleep(0)  # the answer is on its way
        return settled

    monkeypatch.setattr(mill.store, "settle", settle)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    assert (await ref.wait(10)).counts.succeeded == 4
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: not lane.is_busy)
    assert (lane.counts["settled"], lane.counts["lost"]) == (1, 0)


async def test_an_outage_longer_than_a_lease_costs_no_outcome_that_nobody_else_has(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = mill.make()
    settles = mill.store.settle
    is_away = True

    async def settle(settlement: Settlement) -> Settled:
        if is_away:
            raise StoreUnavailable("away")
        settled: Settled = await settles(settlement)
        return settled

    monkeypatch.setattr(mill.store, "settle", settle)
    await jobs.start()
    ref = await jobs.enqueue("numbers", range(4))
    (lane,) = jobs.worker.lanes
    await mill.until(lambda: mill.batches)
    for _ in range(20):
        await asyncio.sleep(0)  # it asks the store
    keeper = lane._keeper  # noqa: SLF001 - it was not answered for as long as a lease lives
    keeper._give_up(set(keeper._lost))  # noqa: SLF001 - as above
    for _ in range(20):
        await asyncio.sleep(0)
    is_away = False
    assert (await ref.wait(10)).counts.succeeded == 4
    assert mill.batches == [[0, 1, 2, 3]]


async def test_a_dead_worker_costs_its_items_nothing_but_a_split(mill: Any) -> None:
    jobs = mill.make()
    ref = await jobs.enqueue("numbers", range(4))
    await mill.store.claim("numbers", worker="dead", max_items=9, max_bytes=999, seconds=0)
    worker = await jobs.start()
    while await worker.reap_one():
        pass
    assert (await ref.wait(10)).counts.succeeded == 4
    assert mill.batches == [[0, 1], [2, 3]]
    assert mill.attempts == [1, 1]


async def test_an_item_that_kills_its_worker_each_time_is_found_and_dead(mill: Any) -> None:
    jobs = mill.make(QueueOptions(max_crashes=2))
    ref = await jobs.enqueue("numbers", range(64))
    worker = await jobs.start()
    await worker.stop()
    deliveries = 0
    ran: list[int] = []
    while isinstance(
        claim := await mill.store.claim("numbers", worker="w", max_items=64, max_bytes=9999, seconds=0), Claim
    ):
        items = [item for chunk in claim.chunks for item in json.loads(chunk.body)]
        deliveries += 1
        if 13 in items:
            assert await worker.reap_one()
        else:
            ran += items
            from gristmill.model.settling import Answers, Policy, settle  # noqa: PLC0415 - only here

            answers = [Answers(values=chunk.body, failures={}) for chunk in claim.chunks]
            settled = await mill.store.settle(settle(claim, answers, Policy(), lambda: 0.0))
            assert settled is Settled.SETTLED
    assert sorted(ran) == [n for n in range(64) if n != 13]
    (bad,) = [item async for item in jobs.results(ref.id, kind=ResultKind.FAILED)]
    assert (bad.place, bad.failure.code) == (13, "crashed")
    assert deliveries <= 1 + 2 * 6 + 3


async def test_a_store_that_is_away_is_asked_again(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make()
    claims, settles = mill.store.claim, mill.store.settle
    failures = {"claim": 3, "settle": 3}

    async def claim(*args: Any, **options: Any) -> Any:
        if failures["claim"]:
            failures["claim"] -= 1
            raise StoreUnavailable("away")
        return await claims(*args, **options)

    async def settle(*args: Any) -> Any:
        if failures["settle"]:
            failures["settle"] -= 1
            raise StoreUnavailable("away")
        return await settles(*args)

    monkeypatch.setattr(mill.store, "claim", claim)
    monkeypatch.setattr(mill.store, "settle", settle)
    ref = await jobs.enqueue("numbers", range(4))
    await jobs.start()
    assert (await ref.wait(30)).counts.succeeded == 4
    assert mill.batches == [[0, 1, 2, 3]]
    assert failures == {"claim": 0, "settle": 0}
    said = [each for each in caplog.messages if "failed, and is tried again: away" in each]
    assert said[0] == "claiming from numbers failed, and is tried again: away"
    assert said[1].startswith("recording the outcomes of a batch of numbers (lease ")
    assert len(said) == 2


async def test_items_with_one_key_never_share_a_moment(mill: Any) -> None:
    jobs = mill.make(key=lambda n: n % 2, concurrency=4)
    running: set[int] = set()
    order: dict[int, list[int]] = {0: [], 1: []}

    def behave(items: list[int]) -> list[Any]:
        (key,) = {n % 2 for n in items}
        assert key not in running
        order[key] += items
        return items

    mill.behave = behave
    await jobs.start()
    refs = [await jobs.enqueue("numbers", [n, n + 1]) for n in range(0, 20, 2)]
    await asyncio.gather(*(ref.wait(10) for ref in refs))
    assert order == {0: list(range(0, 20, 2)), 1: list(range(1, 20, 2))}


@pytest.mark.parametrize("keyed", [0, 1, 2])
async def test_items_with_a_key_share_no_batch_with_those_that_have_none(mill: Any, keyed: int) -> None:
    jobs = mill.make(max_size=10)
    refs = [
        await jobs.enqueue("numbers", [n, n], key="a key" if n == keyed else None) for n in range(keyed + 2)
    ]
    await jobs.start()
    await asyncio.gather(*(ref.wait(10) for ref in refs))
    assert [keyed, keyed] in mill.batches


async def test_as_many_batches_run_at_once_as_the_handler_has_slots(mill: Any) -> None:
    jobs = mill.make(concurrency=2, max_size=1)
    mill.gate.clear()
    refs = [await jobs.enqueue("numbers", [n]) for n in range(10)]
    await jobs.start()
    await mill.until(lambda: len(mill.batches) == 2)
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(mill.batches) == 2
    mill.gate.set()
    await asyncio.gather(*(ref.wait(10) for ref in refs))


async def test_an_idle_worker_begins_at_once(mill: Any) -> None:
    jobs = mill.make()
    await jobs.start()
    for _ in range(100):
        await asyncio.sleep(0)
    ref = await jobs.enqueue("numbers", [1])
    loop = asyncio.get_running_loop()
    before = loop.time()
    await mill.until(lambda: mill.batches)
    assert loop.time() - before < 0.5  # it was woken, not found by a look once a second
    await ref.wait(10)
