from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from gristmill import batch
from gristmill.errors import DeadlineExceeded, HandlerFailed, ReplyMismatch
from gristmill.testing.handler_simulator import affine
from gristmill.tuning.measuring import SizeRuns, measure
from gristmill.tuning.passes import Passes, Turn
from gristmill.tuning.sample import Sample


def test_each_size_is_run_as_it_is_past_the_handlers_own_limit(bench: Callable[..., Any]) -> None:
    made = bench(affine(fixed=0.005, item=0.001))
    found = made.measure([1, 10, 500], repeats=4)
    assert made.handler.limits.max_size == 100
    assert [(each.size, len(each.seconds), each.failed) for each in found.sizes] == [
        (1, 4, 0),
        (10, 4, 0),
        (500, 4, 0),
    ]
    assert [each.median for each in found.sizes] == pytest.approx([0.006, 0.015, 0.505])
    assert found.elapsed == pytest.approx(made.now)
    assert found.items == 4 * 511


def test_batches_go_through_the_sample_in_turns(bench: Callable[..., Any]) -> None:
    made = bench(affine(fixed=0.005, item=0.001))
    made.measure([1, 3], rows=range(5), repeats=1)
    flat = [item for items in made.batches for item in items]
    assert flat == [index % 5 for index in range(len(flat))]
    assert [len(items) for items in made.batches[:3]] == [1, 1, 3]


def test_failed_items_are_counted_but_not_those_of_the_warm_up(bench: Callable[..., Any]) -> None:
    found = bench(affine(fixed=0.005, item=0.001)).measure([2, 4], rows=[-1, 1], repeats=3)
    assert [each.failed for each in found.sizes] == [3, 6]
    assert found.failed == 9
    assert found.codes == (("negative", 9),)


def test_items_that_all_fail_are_no_broken_batch(bench: Callable[..., Any]) -> None:
    assert bench(affine(fixed=0.005, item=0.001)).measure([1, 2], rows=[-1], repeats=1).failed == 3


def test_who_watches_is_told_of_each_turn(bench: Callable[..., Any]) -> None:
    seen: list[tuple[Turn, float]] = []
    bench(affine(fixed=1.0, item=0.0)).measure([1, 2], repeats=1, watch=lambda *turn: seen.append(turn))
    assert [(turn.size, turn.counts) for turn, _ in seen[:3]] == [(1, False), (1, False), (2, False)]
    assert [elapsed for _, elapsed in seen] == pytest.approx([0, 1, 2, 3, 4])


async def _measured(handler: Any) -> None:
    passes = Passes([1, 20], seconds=10, repeats=1, chance=random.Random(1))
    await measure(handler, Sample([1], lambda row: row), passes)


async def test_a_handler_that_raises_ends_the_measurement_and_is_not_bisected() -> None:
    sizes: list[int] = []

    @batch(on_error="bisect")
    async def narrow(items: list[int]) -> list[int]:
        sizes.append(len(items))
        if len(items) > 10:
            raise ValueError("too many")
        return items

    with pytest.raises(
        HandlerFailed, match="a batch of 20 items failed: narrow raised ValueError: too many"
    ) as caught:
        await _measured(narrow)
    assert isinstance(caught.value.__cause__, ValueError)
    assert sizes == [1, 1, 20]


async def test_a_reply_of_the_wrong_length_ends_it() -> None:
    @batch
    async def short(items: list[int]) -> list[int]:
        return items[:5]

    with pytest.raises(ReplyMismatch, match="a batch of 20 items failed: short returned 5 results"):
        await _measured(short)


async def test_a_batch_that_passes_the_handlers_timeout_ends_it() -> None:
    @batch(timeout=0.01)
    async def stuck(items: list[int]) -> list[int]:
        await asyncio.Event().wait()
        return items

    with pytest.raises(DeadlineExceeded, match=r"a batch of 1 item failed: .* timeout of 0.01 s"):
        await _measured(stuck)


def test_the_spread_is_from_the_tenth_to_the_ninetieth_percentile() -> None:
    runs = SizeRuns(10, tuple(float(second) for second in range(11, 0, -1)))
    assert (runs.low, runs.median, runs.high) == (2.0, 6.0, 10.0)
    assert runs.throughput == pytest.approx(10 / 6)
    once = SizeRuns(10, (3.0,))
    assert (once.low, once.median, once.high) == (3.0, 3.0, 3.0)
