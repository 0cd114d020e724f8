"""A rate of items."""

from __future__ import annotations

import math

import pytest

from gristmill.client.pace import Pace
from gristmill.errors import ConfigurationError


@pytest.mark.parametrize("rate", [3.0, 100.0, 50_000.0])
def test_items_keep_to_the_rate(rate: float) -> None:
    pace, now = Pace(rate, 0.0), 0.0
    for _ in range(1000):
        now += pace.wait(now)
    assert now == pytest.approx(999 / rate, abs=0.02)


def test_what_was_not_used_is_not_saved_up() -> None:
    pace, now = Pace(10.0, 0.0), 100.0
    for _ in range(11):
        now += pace.wait(now)
    assert now == pytest.approx(101.0)


@pytest.mark.parametrize("rate", [0, -1, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="items a second"):
        Pace(rate, 0.0)
