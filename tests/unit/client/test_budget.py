"""The retry budget."""

from __future__ import annotations

import math

import pytest

from gristmill.client.budget import Bucket, RetryBudget
from gristmill.errors import ConfigurationError


def test_retries_are_a_share_of_requests() -> None:
    bucket = Bucket(RetryBudget(share=0.1, minimum=0.0), now=0.0)
    for _ in range(100):
        bucket.deposit()
    assert sum(bucket.take(0.0) for _ in range(100)) == 10


def test_a_quiet_client_has_the_minimum_and_no_more() -> None:
    bucket = Bucket(RetryBudget(share=0.0, minimum=2.0), now=0.0)
    assert sum(bucket.take(0.0) for _ in range(100)) == 20
    assert sum(bucket.take(5.0) for _ in range(100)) == 10
    assert sum(bucket.take(1e6) for _ in range(100)) == 20


def test_without_a_budget_nothing_is_repeated() -> None:
    bucket = Bucket(RetryBudget(share=0.0, minimum=0.0), now=0.0)
    bucket.deposit()
    assert not bucket.take(1e9)


def test_looking_takes_nothing() -> None:
    bucket = Bucket(RetryBudget(share=0.0, minimum=0.1), now=0.0)
    assert bucket.has_one(0.0)
    assert bucket.has_one(0.0)
    assert bucket.take(0.0)
    assert not bucket.has_one(0.0)


@pytest.mark.parametrize("options", [{"share": 1.5}, {"share": -0.1}, {"minimum": -1}, {"minimum": math.inf}])
def test_a_budget_that_is_none_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        RetryBudget(**options)
