"""What becomes of a batch that ran when deciding or recording its outcomes goes wrong."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from gristmill import Failed, Retry
from gristmill.errors import (
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
)
from gristmill.model.lease import Settlement
from gristmill.queue.breaker import Breaker
from gristmill.queue.options import QueueOptions


def raises(error: Exception) -> bool:
    raise LookupError(f"no rule for {type(error).__name__}")


BROKEN_RULE = QueueOptions(retry=Retry(attempts=3, base=0.0, on=raises))


async def _failures(mill: Any, job: str) -> dict[int, Any]:
    return {item.place: item.failure async for item in mill.jobs.results(job) if item.failure}


def _odd_fails(items: list[int]) -> list[Any]:
    return [Failed("busy", "busy", retryable=True) if n % 2 else n for n in items]


@pytest.mark.parametrize("breaker", [None, Breaker(batches=1, items=1)], ids=["plain", "breaker"])
async def test_a_retry_rule_that_raises_fails_what_had_failed_and_keeps_what_succeeded(
    mill: Any, caplog: Any, breaker: Breaker | None
) -> None:
    jobs = mill.make(QueueOptions(retry=BROKEN_RULE.retry, breaker=breaker))
    mill.behave = _odd_fails
    ref = await jobs.enqueue("numbers", range(4))
    worker = await jobs.start()
    done = await ref.wait(60)
    assert (done.counts.succeeded, done.counts.failed) == (2, 2)
    failures = await _failures(mill, ref.id)
    assert {place: (each.code, each.message) for place, each in failures.items()} == {
        1: ("internal_error", ""),
        3: ("internal_error", ""),
    }
    (group,) = await jobs.dead()
    assert (group.code, group.items, group.error) == (
        "internal_error",
        2,
        "LookupError: no rule for ItemFailed",
    )
    assert mill.batches == [[0, 1, 2, 3]]
    await mill.until(lambda: not worker.lanes[0].is_busy)
    assert (worker.lanes[0].counts["broken"], worker.lanes[0].counts["settled"]) == (1, 1)
    (said,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert said.getMessage() == (
        f"a batch of numbers (lease {said.lease}, 4 items of {ref.id}) met an error that is not "
        "the handler's: what failed is not tried again"
    )
    assert (said.handler, said.jobs, said.exc_info[0]) == ("numbers", [ref.id], LookupError)
    mill.behave = list
    later = await jobs.enqueue("numbers", [7])
    assert (await later.wait(60)).counts.succeeded == 1


async def test_a_batch_that_meets_an_error_of_our_own_fails_and_the_lane_goes_on(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    from gristmill.queue import lane  # noqa: PLC0415 - only here

    jobs = mill.make()
    ref = await jobs.enqueue("numbers", range(3))
    with monkeypatch.context() as patch:

        async def broken(*_: Any, **__: Any) -> Any:
            raise KeyError("ours")

        patch.setattr(lane, "answer", broken)
        worker = await jobs.start()
        assert (await ref.wait(60)).counts.failed == 3
    assert {each.code for each in (await _failures(mill, ref.id)).values()} == {"internal_error"}
    assert (await jobs.dead())[0].error == "KeyError: 'ours'"
    assert (
        f"3 items of {ref.id}) met an error that is not the handler's: all of its items fail" in caplog.text
    )
    await mill.until(lambda: not worker.lanes[0].is_busy)
    assert worker.lanes[0].counts["broken"] == 1
    assert await jobs.redrive(code="internal_error") == 3
    assert (await ref.wait(60)).counts.succeeded == 3


async def test_a_chunk_whose_body_is_no_json_fails_and_the_lane_goes_on(mill: Any, caplog: Any) -> None:
    jobs = mill.make()
    ref = await jobs.enqueue("numbers", range(3))
    (row,) = mill.store._tables.chunks.values()  # noqa: SLF001 - as a disk may
    object.__setattr__(row.new, "body", b"[0,1")
    await jobs.start()
    assert (await ref.wait(60)).counts.failed == 3
    assert "met an error that is not the handler's" in caplog.text


async def test_a_chunk_that_no_crash_can_split_fails_too(mill: Any) -> None:
    jobs = mill.make()
    ref = await jobs.enqueue("numbers", range(3))
    (row,) = mill.store._tables.chunks.values()  # noqa: SLF001 - as above
    object.__setattr__(row.new, "body", b"[0,1")
    worker = await jobs.start(queues=[])
    await mill.store.claim("numbers", worker="dead", max_items=9, max_bytes=1 << 20, seconds=0)
    assert await worker.reap_one()
    assert (await ref.status()).counts.failed == 3
    assert (await jobs.dead())[0].code == "internal_error"


class Refusing:
    """Lets a store refuse settlements, as *refuses* says, and notes those it was offered."""

    def __init__(self, mill: Any, monkeypatch: pytest.MonkeyPatch, refuses: Any) -> None:
        self.offered: list[Settlement] = []
        settle = mill.store.settle

        async def refusing(settlement: Settlement) -> Any:
            self.offered.append(settlement)
            if (error := refuses(settlement)) is not None:
                raise error
            return await settle(settlement)

        monkeypatch.setattr(mill.store, "settle", refusing)


def _too_large(settlement: Settlement) -> StoreError | None:
    if any(len(each.body or b"") > 1000 for each in settlement.results):
        return StoreError("PostgreSQL refused: a value is too large")
    return None


@pytest.mark.looptime
async def test_values_that_the_store_refuses_for_good_fail_alone_and_are_kept_for_a_redrive(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make()
    mill.behave = lambda items: ["x" * 2000 if n in (5, 12) else n for n in items]
    Refusing(mill, monkeypatch, _too_large)
    refs = [await jobs.enqueue("numbers", range(at, at + 10)) for at in (0, 10, 20)]
    await jobs.start()
    assert [(await ref.wait(600)).counts.failed for ref in refs] == [1, 1, 0]
    assert [list(await _failures(mill, ref.id)) for ref in refs] == [[5], [2], []]
    assert len(mill.batches) == 1
    (said,) = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert said.endswith("3 times: the largest of its values fail (2) with store_error")
    mill.behave = list
    assert await jobs.redrive(code="store_error") == 2
    assert [(await ref.wait(600)).counts.succeeded for ref in refs] == [10, 10, 10]
    values = [[item.decoded() async for item in ref.results(ordered=True)] for ref in refs]
    assert values == [list(range(at, at + 10)) for at in (0, 10, 20)]


@pytest.mark.looptime
async def test_outcomes_that_the_store_refuses_for_good_fail_their_batch_and_the_lane_goes_on(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make(max_size=2)
    mill.behave = lambda items: ["x" * 2000 if n < 2 else n for n in items]
    store = Refusing(mill, monkeypatch, _too_large)
    ref = await jobs.enqueue("numbers", range(6))
    worker = await jobs.start()
    done = await ref.wait(600)
    assert (done.counts.succeeded, done.counts.failed) == (4, 2)
    assert {place: each.code for place, each in (await _failures(mill, ref.id)).items()} == {
        0: "store_error",
        1: "store_error",
    }
    assert (await jobs.dead())[0].error == "StoreError: PostgreSQL refused: a value is too large"
    assert sorted(map(len, mill.batches)) == [2, 2, 2]
    refused = [each for each in store.offered if _too_large(each)]
    assert len(refused) == 4  # thrice as it was, and without the largest
    await mill.until(lambda: not worker.lanes[0].is_busy)
    assert (worker.lanes[0].counts["refused"], worker.lanes[0].counts["settled"]) == (1, 3)
    (said,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert said.getMessage() == (
        f"the store refused the outcomes of a batch of numbers (lease {said.lease}, 2 items of {ref.id}) "
        "3 times: all of its items fail with store_error"
    )


@pytest.mark.looptime
async def test_a_store_that_refuses_the_failure_too_gets_the_lease_back_by_its_death(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    jobs = mill.make()
    store = Refusing(mill, monkeypatch, lambda _: TypeError("a bug in the store"))
    ref = await jobs.enqueue("numbers", [1])
    worker = await jobs.start()
    await mill.until(lambda: worker.lanes[0].counts["claimed"])
    await asyncio.sleep(60)
    assert not worker.lanes[0].is_busy
    assert len(store.offered) == 6
    assert "the store refused their failure, too: the lease of a batch of numbers" in caplog.text
    assert (await ref.status()).counts.running == 1
    assert await mill.store.renew([store.offered[0].lease], 30) == set()  # it can still die and be taken over


@pytest.mark.looptime
@pytest.mark.parametrize(
    "error",
    [StoreUnavailable("away"), StoreFull("full"), StoreReadOnly("a replica"), StoreMisconfigured("no")],
)
async def test_what_says_nothing_of_the_outcomes_is_waited_for_and_named(
    mill: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any, error: StoreError
) -> None:
    jobs = mill.make()
    left = [error] * 20
    store = Refusing(mill, monkeypatch, lambda _: left.pop() if left else None)
    ref = await jobs.enqueue("numbers", range(4))
    await jobs.start()
    assert (await ref.wait(3600)).counts.succeeded == 4
    assert len(store.offered) == 21
    assert mill.batches == [[0, 1, 2, 3]]
    lease = store.offered[0].lease
    (said,) = [each for each in caplog.messages if "failed, and is tried again" in each]
    assert said == (
        f"recording the outcomes of a batch of numbers (lease {lease}, 4 items of {ref.id}) failed, "
        f"and is tried again: {error}"
    )


async def test_many_jobs_of_a_batch_are_not_all_named_in_the_log(mill: Any, caplog: Any) -> None:
    jobs = mill.make(BROKEN_RULE)
    mill.behave = lambda items: [Failed("busy", "busy") for _ in items]
    refs = [await jobs.enqueue("numbers", [n]) for n in range(5)]
    await jobs.start()
    for ref in refs:
        await ref.wait(60)
    assert f"5 items of {refs[0].id}, {refs[1].id}, {refs[2].id} and 2 jobs more)" in caplog.text
