"""Handlers that raise for a whole batch, and that break their contract, on real stores."""

from __future__ import annotations

from typing import Any


async def test_an_item_that_makes_the_handler_raise_burns_no_attempt_of_its_neighbours(mill: Any) -> None:
    ref = await mill.jobs.enqueue("numbers", range(64))
    await mill.worker("--mode", "raise", "--size", "64", "--attempts", "2", "--base", "0.01")
    done = await mill.done(ref.id)
    assert (done.counts.succeeded, done.counts.failed) == (63, 1)
    (dead,) = [item async for item in mill.jobs.results(ref.id) if item.failure]
    assert (dead.place, dead.failure.code, dead.failure.attempts) == (13, "handler_error", 2)
    attempts = mill.attempts()
    assert {attempt for item, attempt in attempts if item != 13} == {1}
    assert len([item for item, _ in attempts if item == 13]) <= 1 + 6 + 1


async def test_a_reply_of_the_wrong_length_fails_every_item_and_succeeds_none(mill: Any) -> None:
    ref = await mill.jobs.enqueue("numbers", range(10))
    await mill.worker("--mode", "short", "--attempts", "3", "--base", "0.01")
    done = await mill.done(ref.id)
    assert (done.counts.succeeded, done.counts.failed) == (0, 10)
    codes = {item.failure.code async for item in mill.jobs.results(ref.id) if item.failure}
    assert codes == {"handler_contract"}
    assert mill.seen() == dict.fromkeys(range(10), 1)


async def test_an_item_that_a_dict_reply_leaves_out_fails_alone_and_one_that_nobody_gave_is_nobodys(
    mill: Any,
) -> None:
    ref = await mill.jobs.enqueue("numbers", range(20))
    await mill.worker("--mode", "missing")
    done = await mill.done(ref.id)
    assert (done.counts.total, done.counts.succeeded, done.counts.failed) == (20, 19, 1)
    (dead,) = [item async for item in mill.jobs.results(ref.id) if item.failure]
    assert (dead.place, dead.failure.code) == (13, "not_found")
    (group,) = await mill.jobs.dead()  # callers are told the code, operators the text
    assert (group.items, group.error) == (1, "ItemMissing: numbers has no result for this item")


async def test_a_number_of_a_thousand_digits_goes_through_whole_beside_small_ones(mill: Any) -> None:
    huge = 10**1000
    ref = await mill.jobs.enqueue("numbers", [*range(5), huge, *range(5)])
    await mill.worker()
    assert (await mill.done(ref.id)).counts.succeeded == 11
    values = [item.decoded() async for item in mill.jobs.results(ref.id, ordered=True)]
    assert values == [*range(5), huge, *range(5)]
