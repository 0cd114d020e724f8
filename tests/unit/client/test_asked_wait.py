"""What ``Retry-After`` and ``RateLimit`` ask for."""

from __future__ import annotations

import pytest

from gristmill.client.asked_wait import asked_wait, rate_limit_wait, retry_after

NOON = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOON) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ('"items";r=0;t=41', 41.0),
        ('"items"; r=0 ; t=41', 41.0),
        ('"a";r=0;t=5, "b";r=0;t=9', 9.0),
        ('"a";r=1;t=5', None),
        ('"a";r=0', None),
        ("nonsense", None),
        (None, None),
    ],
)
def test_a_rate_limit_counts_when_nothing_is_left(value: str | None, seconds: float | None) -> None:
    assert rate_limit_wait(value) == seconds


def test_retry_after_wins() -> None:
    assert asked_wait({"retry-after": "3", "ratelimit": '"a";r=0;t=60'}, NOON) == 3.0
    assert asked_wait({"ratelimit": '"a";r=0;t=60'}, NOON) == 60.0
    assert asked_wait({}, NOON) is None
