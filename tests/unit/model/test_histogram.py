from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.histogram import SECONDS_BOUNDS, SIZE_BOUNDS, Histogram, HistogramRecorder

bounds_lists = st.lists(st.floats(-100, 100), min_size=1, max_size=12, unique=True).map(sorted)


def naive_counts(bounds, values):
    edges = [-math.inf, *bounds, math.inf]
    return tuple(sum(low < value <= high for value in values) for low, high in pairwise(edges))


@given(bounds_lists, st.lists(st.floats(-200, 200)))
def test_counts_are_those_of_naive_counting(bounds, values):
    recorder = HistogramRecorder(bounds)
    for value in values:
        recorder.record(value)
    seen = recorder.snapshot()
    assert seen.counts == naive_counts(bounds, values)
    assert seen.count == len(values)
    assert seen.total == pytest.approx(sum(values), abs=1e-6)


@given(st.lists(st.floats(0, 1e6), max_size=60).map(sorted), st.floats(0, 100), bounds_lists)
def test_ages_are_counted_as_one_by_one_to_the_last_bit(times, after, bounds):
    now = (times[-1] if times else 0.0) + after
    recorder = HistogramRecorder(bounds)
    recorder.record_sorted_ages(times, now)
    ages = [now - time for time in times]
    assert recorder.snapshot().counts == naive_counts(bounds, ages)
    assert recorder.snapshot().total == pytest.approx(sum(ages), abs=1e-6)


@given(st.integers(1, 9), st.floats(1, 1e6), st.sampled_from(SECONDS_BOUNDS))
def test_an_age_that_is_exactly_a_bound_falls_where_record_puts_it(count, time, bound):
    now = time + bound
    recorder, one_by_one = HistogramRecorder(SECONDS_BOUNDS), HistogramRecorder(SECONDS_BOUNDS)
    recorder.record_sorted_ages([time] * count, now)
    for _ in range(count):
        one_by_one.record(now - time)
    assert recorder.snapshot().counts == one_by_one.snapshot().counts


def test_a_value_equal_to_a_bound_is_in_that_bounds_bucket():
    recorder = HistogramRecorder([1, 2])
    for value in (1, 2, 3):
        recorder.record(value)
    assert recorder.snapshot() == Histogram((1, 2), (1, 1, 1), 6.0)


def test_a_snapshot_does_not_change_with_later_values():
    recorder = HistogramRecorder([1])
    before = recorder.snapshot()
    recorder.record(0.5)
    assert (before.count, recorder.snapshot().count) == (0, 1)


def test_the_median_of_one_full_bucket_is_its_middle():
    assert Histogram((10, 20), (0, 4, 0), 60.0).quantile(0.5) == 15.0


def test_the_lowest_bucket_reaches_down_to_zero():
    assert Histogram((10, 20), (4, 0, 0), 20.0).quantile(0.25) == 2.5


def test_what_is_above_every_bound_is_given_as_the_last_bound():
    assert Histogram((10, 20), (1, 0, 99), 9_900.0).quantile(0.9) == 20


def test_nothing_recorded_has_no_quantile_and_no_mean():
    empty = HistogramRecorder([1]).snapshot()
    assert math.isnan(empty.quantile(0.5))
    assert math.isnan(empty.mean)


def test_the_mean_is_exact_whatever_the_buckets():
    assert Histogram((10,), (2, 1), 36.0).mean == 12.0


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_ascend_and_stay_inside_the_bounds(values, one, other):
    recorder = HistogramRecorder(SECONDS_BOUNDS)
    for value in values:
        recorder.record(value)
    seen = recorder.snapshot()
    low, high = seen.quantile(min(one, other)), seen.quantile(max(one, other))
    assert 0 <= low <= high <= SECONDS_BOUNDS[-1]


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_share_outside_zero_to_one_is_refused(q):
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        HistogramRecorder([1]).snapshot().quantile(q)


@pytest.mark.parametrize("bounds", [[], [1, 1], [2, 1], [1, math.inf], [math.nan]])
def test_bounds_that_do_not_ascend_or_end_are_refused(bounds):
    with pytest.raises(ConfigurationError, match="bounds must"):
        HistogramRecorder(bounds)


@pytest.mark.parametrize("bounds", [SIZE_BOUNDS, SECONDS_BOUNDS])
def test_the_shipped_bounds_are_usable(bounds):
    assert len(HistogramRecorder(bounds).snapshot().counts) == len(bounds) + 1
