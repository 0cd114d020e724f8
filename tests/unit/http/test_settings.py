from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.http.settings import HttpLimits


def test_the_defaults_are_those_of_the_contract() -> None:
    limits = HttpLimits()
    assert (limits.item_bytes, limits.batch_bytes, limits.batch_items) == (1 << 20, 8 << 20, 1000)
    assert (limits.depth, limits.ratio, limits.body_timeout, limits.idle_timeout) == (64, 100, 30.0, 60.0)
    assert (limits.job_bytes, limits.job_items, limits.longest_wait) == (200 << 20, 100_000, 60.0)
    assert (limits.held_seconds, limits.held_answers, limits.held_bytes) == (300.0, 10_000, 32 << 20)


@pytest.mark.parametrize(
    "option",
    ["item_bytes", "batch_bytes", "batch_items", "job_bytes", "job_items", "depth", "ratio",
     "held_answers", "held_bytes"],
)  # fmt: skip
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_a_limit_that_nothing_passes_is_refused(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        HttpLimits(**{option: value})


@pytest.mark.parametrize("option", ["body_timeout", "idle_timeout", "longest_wait", "held_seconds"])
@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), "30"])
def test_a_timeout_is_a_number_of_seconds(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        HttpLimits(**{option: value})
