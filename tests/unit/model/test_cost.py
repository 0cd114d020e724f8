from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.model.cost import CostModel, is_duration


def learnt(samples):
    model = CostModel()
    model.record(1, 99.0)  # cold
    for size, seconds in samples:
        model.record(size, seconds)
    return model


@given(st.floats(0, 10), st.floats(1e-6, 1), st.lists(st.integers(1, 5_000), min_size=6, max_size=40))
def test_without_noise_both_costs_are_found(fixed, item, sizes):
    model = learnt([(size, fixed + item * size) for size in [10, 1_000, *sizes]])
    assert model.expected(500) == pytest.approx(fixed + item * 500, rel=1e-4)
    assert model.item_cost == pytest.approx(item, rel=1e-3)


def test_noise_averages_out():
    chance = random.Random(3)
    sizes = [chance.choice((10, 400)) for _ in range(400)]
    model = learnt([(size, (0.005 + 0.0001 * size) * chance.gauss(1.0, 0.1)) for size in sizes])
    assert model.fixed_cost == pytest.approx(0.005, rel=0.1)
    assert model.item_cost == pytest.approx(0.0001, rel=0.1)
    assert model.fixed_cost_error < 0.0005


def test_the_first_batch_is_cold_and_dropped():
    model = CostModel()
    model.record(10, 50.0)
    assert model.samples == 0
    model.record(10, 1.0)
    assert (model.samples, model.expected(10)) == (1, pytest.approx(1.0))


def test_sizes_that_are_all_alike_tell_no_fixed_cost():
    model = learnt([(100, 0.02)] * 30)
    assert not model.is_identifiable
    assert model.fixed_cost == 0.0
    assert model.expected(200) == pytest.approx(0.04)
    assert math.isinf(model.fixed_cost_error)


def test_two_sizes_tell_the_fixed_cost():
    model = learnt([(100, 0.02), (200, 0.03)])
    assert model.is_identifiable
    assert model.fixed_cost == pytest.approx(0.01)


def test_a_larger_batch_that_is_faster_makes_no_cost_negative():
    model = learnt([(10, 0.05), (100, 0.01), (200, 0.005)])
    assert model.fixed_cost >= 0.0
    assert model.item_cost > 0.0


def test_more_than_proportional_time_leaves_no_fixed_cost():
    model = learnt([(10, 0.001), (100, 0.1), (200, 0.4)])
    assert model.fixed_cost == 0.0
    assert model.item_cost > 0.0


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -0.001, 1e300])
def test_what_is_no_duration_is_not_counted(seconds):
    model = learnt([(10, 0.1)])
    model.record(10, seconds)
    assert not is_duration(seconds)
    assert (model.samples, model.expected(10)) == (1, pytest.approx(0.1))


def test_a_clock_that_reads_zero_at_first_breaks_nothing():
    model = learnt([(10, 0.0)] * 5 + [(100, 0.0156), (10, 0.0), (100, 0.0156)] * 20)
    assert 0.0 <= model.expected(10) < model.expected(100) == pytest.approx(0.0156, rel=0.2)


def test_nothing_overruns_before_anything_is_learnt():
    assert not CostModel().is_overrun(10, 1e6)
    assert not learnt([(10, 0.0)]).is_overrun(10, 1e6)


def test_an_overrun_is_more_than_twice_the_expected_and_more_than_noise():
    model = learnt([(10, 0.1), (20, 0.2)] * 10)
    assert not model.is_overrun(20, 0.39)
    assert model.is_overrun(20, 0.5)
    noisy = learnt([(10, 0.05), (10, 0.15), (20, 0.1), (20, 0.3)] * 10)
    assert not noisy.is_overrun(20, 0.45)


def test_one_tick_of_a_coarse_clock_is_no_overrun():
    assert not learnt([(10, 0.0), (10, 0.0), (10, 0.0156), (10, 0.0)]).is_overrun(10, 0.0156)


def test_a_handler_that_became_slower_is_learnt_within_a_dozen_batches():
    chance = random.Random(5)
    model = learnt([(size, 0.1 * size * chance.gauss(1, 0.05)) for size in (10, 30) * 100])
    for size in (10, 30) * 6:
        model.record(size, 0.15 * size)
    assert model.expected(20) == pytest.approx(3.0, rel=0.05)


def test_after_forgetting_the_next_batches_decide():
    model = learnt([(10, 0.1), (20, 0.2)] * 50)
    model.forget()
    for size in (10, 20) * 8:
        model.record(size, 0.05 * size)
    assert model.expected(20) == pytest.approx(1.0, rel=0.5)


@given(st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 1e9)), max_size=60))
def test_costs_stay_finite_and_positive_whatever_the_times(samples):
    model = learnt(samples)
    assert 0.0 <= model.fixed_cost < math.inf
    assert 0.0 < model.item_cost < math.inf
    assert 0.0 <= model.sigma < math.inf
