from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError, TooManyFailures
from gristmill.streams.chunk import Counts
from gristmill.streams.failures import FailureLimit


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (None, FailureLimit()),
        ("0", FailureLimit(rows=0)),
        (" 100 ", FailureLimit(rows=100)),
        (7, FailureLimit(rows=7)),
        ("1%", FailureLimit(share=0.01)),
        ("0.5 %", FailureLimit(share=0.005)),
        ("100%", FailureLimit(share=1.0)),
    ],
)
def test_limits_are_numbers_or_shares(text: str | int | None, limit: FailureLimit) -> None:
    assert FailureLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "%", "x", "-1", "101%", "-1%", "nan%", "inf%", "1.5", 0.5])
def test_what_is_neither_is_refused(text: str | float) -> None:
    with pytest.raises(ConfigurationError, match="as 100, or a share of them, as 1%"):
        FailureLimit.parse(text)


def is_over(limit: FailureLimit, failed: int, read: int, *, is_end: bool = False) -> bool:
    try:
        limit.check(Counts(read=read, failed=failed), is_end=is_end)
    except TooManyFailures:
        return True
    return False


def test_numbers_are_exact_and_shares_wait_for_a_thousand_rows_or_the_end() -> None:
    assert not is_over(FailureLimit(), 10**9, 10**9, is_end=True)
    assert [is_over(FailureLimit(rows=5), failed, 6) for failed in (4, 5, 6)] == [False, False, True]
    tenth = FailureLimit(share=0.1)
    assert not is_over(tenth, 999, 999)
    assert is_over(tenth, 999, 999, is_end=True)
    assert [is_over(tenth, failed, 1000) for failed in (100, 101)] == [False, True]
    assert not is_over(FailureLimit(share=0.0), 0, 0, is_end=True)
