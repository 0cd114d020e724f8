from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError, HandlerFailed, ItemFailed, QueueFull, ReplyMismatch
from gristmill.model.outcome import Failed
from gristmill.model.retry import Retry

chances = st.floats(0, 1, exclude_max=True)


def wrapped(cause):
    error = HandlerFailed("the handler raised")
    error.__cause__ = cause
    return error


@given(st.integers(1, 10_000), chances, st.floats(0, 1e6), st.floats(0, 1e6), st.floats(1, 1e300))
def test_a_delay_is_between_nothing_and_the_cap(attempt, chance, base, cap, factor):
    assert 0 <= Retry(base=base, cap=cap, factor=factor).delay(attempt, chance) <= cap


@given(st.integers(1, 9), chances)
def test_the_longest_delay_doubles_from_base_to_cap(attempt, chance):
    retry = Retry(base=0.1, cap=10.0, factor=2.0)
    assert retry.delay(attempt, chance) == pytest.approx(chance * min(10.0, 0.1 * 2 ** (attempt - 1)))


def test_the_first_delay_is_at_most_base():
    assert Retry(base=0.5).delay(1, 1 - 1e-12) == pytest.approx(0.5)


def test_the_ten_thousandth_try_waits_the_cap_and_does_not_overflow():
    assert Retry(cap=30.0).delay(10_000, 0.5) == 15.0


def test_a_factor_of_one_never_grows():
    assert Retry(base=0.2, factor=1.0).delay(10_000, 0.5) == 0.1


def test_no_base_means_no_delay():
    assert Retry(base=0.0).delay(7, 0.9) == 0.0


def test_the_first_try_counts_as_an_attempt():
    retry = Retry(attempts=3)
    assert [retry.admits(QueueFull("full"), tries) for tries in (1, 2, 3, 4)] == [True, True, False, False]
    assert not Retry(attempts=1).admits(QueueFull("full"), 1)


def test_without_on_the_error_says_whether_it_is_retryable():
    assert Retry().admits(ItemFailed("later", retryable=True), 1)
    assert not Retry().admits(ItemFailed("never"), 1)
    assert not Retry().admits(ReplyMismatch("three for two"), 1)
    assert not Retry().admits(ConnectionError("plain"), 1)


def test_a_tuple_matches_what_the_caller_sees_and_what_the_handler_raised_or_returned():
    retry = Retry(on=(ConnectionError,))
    assert retry.admits(ConnectionResetError(), 1)
    assert retry.admits(wrapped(ConnectionResetError()), 1)
    assert retry.admits(Failed(ConnectionResetError()).exception(), 1)
    assert not retry.admits(wrapped(ValueError()), 1)
    assert Retry(on=(HandlerFailed,)).admits(wrapped(ValueError()), 1)


def test_the_cause_of_an_error_of_the_handlers_own_is_not_looked_at():
    error = ValueError("mine")
    error.__cause__ = ConnectionResetError()
    assert not Retry(on=(ConnectionError,)).admits(error, 1)


def test_an_empty_tuple_matches_nothing():
    assert not Retry(on=()).admits(QueueFull("full"), 1)


def test_a_function_decides_and_is_not_asked_after_the_last_attempt():
    asked = []
    retry = Retry(attempts=2, on=lambda error: not asked.append(error))
    error = ValueError()
    assert retry.admits(error, 1)
    assert not retry.admits(error, 2)
    assert asked == [error]


def test_what_it_covers_does_not_depend_on_the_attempt():
    assert Retry(attempts=1).covers(QueueFull("full"))
    assert not Retry(attempts=1).covers(ReplyMismatch("short"))
    assert Retry(attempts=1, on=(ValueError,)).covers(ValueError())


def test_what_the_function_raises_goes_on():
    with pytest.raises(ZeroDivisionError):
        Retry(on=lambda _error: bool(1 / 0)).admits(ValueError(), 1)


def test_a_class_in_place_of_a_tuple_is_refused_with_what_to_write():
    with pytest.raises(ConfigurationError, match=r"write on=\(ConnectionError,\)"):
        Retry(on=ConnectionError)


@pytest.mark.parametrize("on", [[ConnectionError], (ConnectionError, "timeout"), "timeout", (int,)])
def test_what_can_match_no_error_is_refused(on):
    with pytest.raises(ConfigurationError, match="on takes a tuple of exception classes or a function"):
        Retry(on=on)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"attempts": 2.5},
        {"base": -1.0},
        {"base": math.nan},
        {"cap": math.inf},
        {"cap": -0.1},
        {"factor": 0.5},
        {"factor": math.nan},
        {"factor": math.inf},
    ],
)
def test_numbers_that_cannot_be_waited_are_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Retry(**options)
