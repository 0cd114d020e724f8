from __future__ import annotations

import random
import statistics
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.linger import FixedWait, Linger
from gristmill.model.sizing import Adaptive, SizeBound
from gristmill.testing import (
    AdditiveIncrease,
    LatencyGradient,
    affine,
    changing,
    cliff,
    drifting,
    noisy,
    simulate,
)

SEEDS = range(1_000, 1_030)
HANDLER = affine(fixed=0.005, item=0.0001)
CLIFF = cliff(HANDLER, at=200, factor=8.0)


class Fixed:
    """A cap that never moves, and what it was told."""

    def __init__(self, cap):
        self.cap = cap
        self.told = []

    def record(self, size, seconds, *, full, failed=False):
        self.told.append((size, seconds, full))


def runs(cost, *, target_latency=None, batches=2_000, sigma=0.1):
    return [
        simulate(
            Adaptive(target_latency=target_latency).controller(),
            noisy(cost, random.Random(seed), sigma=sigma),
            batches=batches,
        )
        for seed in SEEDS
    ]


def settled_within(results, batches, cap=None):
    settled = [result.settled_after(cap) for result in results]
    return sum(after is not None and after <= batches for after in settled)


def test_the_affine_handler_settles_within_twenty_batches_near_the_right_size():
    results = runs(HANDLER)
    assert settled_within(results, 20, cap=450) >= 0.85 * len(results)
    assert min(result.throughput for result in results) > 8_700  # 9 000 at 450 items, less the probes


def test_a_target_latency_is_reached_in_twenty_batches_and_rarely_missed():
    results = runs(HANDLER, target_latency=0.05)
    assert settled_within(results, 20) >= 0.95 * len(results)
    assert max(result.over_target(0.05) for result in results) < 0.03
    assert min(result.throughput for result in results) > 8_600


@pytest.mark.parametrize("target_latency", [None, 0.05, 1.0])
def test_the_cliff_is_left_alone_with_any_target_and_with_none(target_latency):
    results = runs(CLIFF, target_latency=target_latency)
    assert settled_within(results, 20, cap=200) >= 0.9 * len(results)
    additive = simulate(
        AdditiveIncrease(target_latency=target_latency or 1.0), noisy(CLIFF, random.Random(1)), batches=2_000
    )
    assert min(result.throughput for result in results) > max(7_500, 1.2 * additive.throughput)


def test_a_handler_without_fixed_cost_gets_few_items_and_loses_nothing():
    results = runs(affine(fixed=0.0, item=0.0001))
    assert max(result.final_cap for result in results) <= 4
    assert min(result.throughput for result in results) > 9_700


@pytest.mark.parametrize("fixed", [0.0, 0.00001, 0.0001])
def test_no_size_is_tried_that_is_over_twice_the_largest_before(fixed):
    for seed in SEEDS:
        cost = noisy(affine(fixed=fixed, item=0.0001), random.Random(seed), sigma=0.3)
        caps = simulate(Adaptive(start=1).controller(), cost, batches=300).caps
        largest = list(accumulate(caps, max))
        assert all(cap <= 2 * before for before, cap in zip(largest, caps[1:], strict=False))


def test_a_slow_drift_is_followed():
    results = runs(drifting(HANDLER, per_batch=0.0005))
    assert all(380 <= result.final_cap <= 520 for result in results)


def test_a_fixed_cost_that_doubles_doubles_the_size():
    results = runs(changing(HANDLER, affine(fixed=0.01, item=0.0001), at=1_000), batches=2_400)
    assert statistics.median(result.final_cap for result in results) == pytest.approx(900, rel=0.1)


def test_ten_times_slower_for_a_while_is_recovered_from():
    incident = changing(HANDLER, drifting(affine(fixed=0.05, item=0.001), per_batch=0.0), at=600)
    results = runs(changing(incident, HANDLER, at=700), batches=1_500)
    assert all(380 <= statistics.median(result.caps[1_200:]) <= 520 for result in results)


@pytest.mark.parametrize("cost", [HANDLER, CLIFF])
def test_one_batch_in_a_hundred_that_hangs_does_not_wear_the_cap_down(cost):
    finals = []
    for seed in SEEDS:
        chance = random.Random(seed)
        hanging = noisy(cost, chance)
        result = simulate(
            Adaptive().controller(),
            lambda size, index, hanging=hanging, chance=chance: (
                hanging(size, index) * (10 if chance.random() < 0.01 else 1)
            ),
            batches=1_500,
        )
        finals.append(result.final_cap)
    assert min(finals) >= 130  # a hang right after a step up may cost a cliff's last steps
    assert statistics.median(finals) >= 190


@pytest.mark.parametrize("tick", [0.0156, 0.001])
def test_a_coarse_clock_costs_little(tick):
    for seed in SEEDS:
        cost = noisy(HANDLER, random.Random(seed))
        assert simulate(Adaptive().controller(), cost, tick=tick).throughput > 8_000


def test_the_gradient_baseline_runs_past_the_target():
    result = simulate(LatencyGradient(), noisy(HANDLER, random.Random(1)))
    assert result.over_target(0.05) > 0.5


def test_the_same_seed_gives_the_same_run():
    first, second = (
        simulate(Adaptive().controller(), noisy(HANDLER, random.Random(7)), batches=100) for _ in range(2)
    )
    assert first == second


def test_a_saturated_handler_fills_every_batch_and_is_always_busy():
    sizer = Fixed(10)
    result = simulate(sizer, HANDLER, batches=4)
    assert result.sizes == (10, 10, 10, 10)
    assert result.elapsed == pytest.approx(0.024)
    assert result.throughput == pytest.approx(40 / 0.024)
    assert result.busy == pytest.approx(1.0)
    assert sizer.told == [(10, pytest.approx(0.006), True)] * 4


def test_a_cliff_starts_above_its_size_and_a_change_at_its_batch():
    assert CLIFF(200, 0) == pytest.approx(0.025)
    assert CLIFF(201, 0) == pytest.approx(0.0251 * 8)
    changed = changing(affine(fixed=1, item=0), affine(fixed=2, item=0), at=3)
    assert [changed(1, index) for index in (2, 3)] == [1, 2]
    assert drifting(affine(fixed=1, item=0), per_batch=0.1)(1, 2) == pytest.approx(1.21)


@given(st.floats(1, 5_000), st.integers(1, 200), st.integers(0, 1_000))
def test_no_poisson_batch_is_empty_or_above_the_cap(arrivals, cap, seed):
    result = simulate(Fixed(cap), HANDLER, batches=20, arrivals=arrivals, chance=random.Random(seed))
    assert all(1 <= size <= cap for size in result.sizes)
    assert result.latency.count == sum(result.sizes)
    assert 0 < result.busy <= 1 + 1e-9


def test_at_low_load_a_lone_item_waits_for_nothing_but_its_batch():
    result = simulate(Fixed(1_000), HANDLER, arrivals=1, batches=300, chance=random.Random(1))
    assert result.latency.mean == pytest.approx(0.0051, rel=0.02)


def test_a_fixed_wait_is_added_to_a_lone_item():
    result = simulate(
        Fixed(1_000), HANDLER, arrivals=1, batches=300, wait=FixedWait(0.1), chance=random.Random(1)
    )
    assert result.latency.mean == pytest.approx(0.105, rel=0.05)


def test_rent_or_buy_buys_idle_time_for_little_latency():
    def load(wait):
        sizer = Adaptive().controller()
        return simulate(sizer, HANDLER, arrivals=200, wait=wait, chance=random.Random(1))

    eager, linger = load(None), load(Linger())
    assert linger.busy < 0.85 * eager.busy
    assert linger.latency.quantile(0.5) < 1.3 * eager.latency.quantile(0.5)


def test_a_light_load_does_not_raise_the_cap():
    sizer = Adaptive().controller()
    simulate(sizer, HANDLER, arrivals=100, chance=random.Random(1), batches=1_000)
    assert sizer.cap <= 32
    assert sizer.snapshot().bound is SizeBound.LEARNING


def test_settled_is_from_the_last_batch_that_strayed():
    result = simulate(Fixed(10), HANDLER, batches=30)
    assert result.settled_after() == 0
    assert result.settled_after(20) is None


@pytest.mark.parametrize(
    "options",
    [{"batches": 0}, {"arrivals": 100.0}, {"arrivals": 0.0, "chance": random.Random(1)}],
)
def test_arguments_that_do_not_go_together_are_refused(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        simulate(Fixed(1), HANDLER, **options)
