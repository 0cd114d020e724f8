from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.linger import FixedWait, Linger

arrivals = st.lists(st.floats(0, 10), min_size=1, max_size=50).map(sorted)
fixed_costs = st.floats(0, 5)


def due(wait, times, fixed_cost):
    return wait.due_at(count=len(times), arrived_sum=sum(times), oldest=times[0], fixed_cost=fixed_cost)


@given(arrivals, fixed_costs, st.floats(0, 100))
def test_at_the_due_time_the_summed_wait_is_the_weighed_fixed_cost(times, fixed_cost, cost):
    at = due(Linger(cost=cost, max_wait=1e6), times, fixed_cost)
    assert sum(at - time for time in times) == pytest.approx(cost * fixed_cost, abs=1e-9, rel=1e-9)


@given(arrivals, fixed_costs, st.floats(0, 100), st.floats(0, 3))
def test_no_item_waits_longer_than_max_wait(times, fixed_cost, cost, max_wait):
    assert due(Linger(cost=cost, max_wait=max_wait), times, fixed_cost) <= times[0] + max_wait


@given(arrivals, fixed_costs)
def test_another_arrival_before_the_due_time_only_makes_it_earlier(times, fixed_cost):
    wait = Linger(max_wait=1e6)
    before = due(wait, times, fixed_cost)
    arrival = max(times[-1], before * 0.9)
    if arrival <= before:
        assert due(wait, [*times, arrival], fixed_cost) <= before + 1e-9


def test_a_lone_item_waits_the_fixed_cost_and_two_wait_half_of_it():
    wait = Linger(max_wait=1.0)
    assert due(wait, [2.0], 0.01) == pytest.approx(2.01)
    assert due(wait, [2.0, 2.0], 0.01) == pytest.approx(2.005)


def test_nothing_waits_while_no_fixed_cost_is_known_or_waiting_is_worth_nothing():
    assert due(Linger(), [3.0], 0.0) == 3.0
    assert due(Linger(cost=0.0), [3.0], 7.0) == 3.0


@pytest.mark.parametrize("fixed_cost", [math.nan, math.inf])
def test_a_cost_that_is_no_number_leaves_the_longest_wait(fixed_cost):
    assert due(Linger(max_wait=0.25), [1.0], fixed_cost) == 1.25


@given(arrivals, fixed_costs, st.floats(0, 60))
def test_a_fixed_wait_counts_from_the_oldest_item_alone(times, fixed_cost, max_wait):
    assert due(FixedWait(max_wait), times, fixed_cost) == times[0] + max_wait


@pytest.mark.parametrize("seconds", [-0.001, math.nan, math.inf])
def test_a_wait_that_is_no_length_of_time_is_refused(seconds):
    with pytest.raises(ConfigurationError, match="max_wait must be a finite number of seconds"):
        FixedWait(seconds)
    with pytest.raises(ConfigurationError, match="max_wait must be a finite number of seconds"):
        Linger(max_wait=seconds)


@pytest.mark.parametrize("cost", [-1.0, math.nan, math.inf])
def test_a_weight_that_is_no_number_is_refused(cost):
    with pytest.raises(ConfigurationError, match="cost must be"):
        Linger(cost=cost)
