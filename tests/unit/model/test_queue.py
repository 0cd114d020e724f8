from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.queue import Bucket, QueueLimits


@pytest.mark.parametrize(
    "options", [{"rate": 0}, {"rate": -1}, {"burst": 5}, {"rate": 1, "burst": 0}, {"concurrency": 0}]
)
def test_limits_that_stop_a_queue_for_good_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        QueueLimits(**options)


@given(
    st.floats(0.1, 1000),
    st.floats(1, 1000),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50)), max_size=50),
)
def test_no_more_is_admitted_than_the_rate_and_one_burst_allow(
    rate: float, burst: float, arrivals: list[tuple[float, int]]
) -> None:
    limits = QueueLimits(rate=rate, burst=burst)
    bucket = Bucket(tokens=limits.largest_burst, at=0.0)
    now = taken = 0.0
    largest = 0
    for pause, items in arrivals:
        now += pause
        bucket = bucket.refilled(limits, now)
        if bucket.admits(items, limits):
            taken += items
            largest = max(largest, items)
            bucket = Bucket(tokens=bucket.tokens - items, at=now)
        else:
            wait = bucket.admits_in(items, limits)
            assert wait > 0
            assert bucket.refilled(limits, now + wait + 1e-6 / rate + 1e-9 * now).tokens + 1e-6 >= min(
                items, burst
            )
    assert taken <= now * rate + burst + largest + 1e-6


def test_without_a_rate_everything_is_admitted() -> None:
    limits = QueueLimits()
    bucket = Bucket(tokens=0.0, at=0.0).refilled(limits, 1.0)
    assert bucket.admits(10**9, limits)
    assert bucket.admits_in(10**9, limits) == 0
