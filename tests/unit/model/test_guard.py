from __future__ import annotations

import pytest

from gristmill.model.guard import Guard


def passes(guard, size, times):
    for _ in range(times):
        guard.passed(size)


def test_a_size_never_seen_to_work_that_overruns_is_left_by_three_tenths():
    guard = Guard(1_000)
    assert not guard.overran(200, failed=False)
    assert guard.limit == pytest.approx(140)


def test_a_size_proven_just_below_is_gone_back_to():
    guard = Guard(1_000)
    passes(guard, 900, 1)
    guard.overran(1_000, failed=False)
    assert guard.limit == 900


def test_one_slow_batch_of_a_proven_size_changes_nothing_and_a_second_does():
    guard = Guard(200)
    passes(guard, 200, 5)
    guard.overran(200, failed=False)
    assert guard.limit == 200
    guard.overran(200, failed=False)
    assert guard.limit == pytest.approx(140)


def test_a_missed_target_takes_a_tenth_off():
    guard = Guard(1_000)
    guard.missed(100)
    assert guard.limit == pytest.approx(90)
    guard.missed(500)
    assert guard.limit == pytest.approx(90)


def test_full_batches_in_time_raise_the_limit_by_two_percent_or_one():
    guard = Guard(1_000)
    guard.missed(200)
    guard.passed(180)
    assert guard.limit == pytest.approx(183.6)
    small = Guard(1_000)
    small.missed(10)
    small.passed(9)
    assert small.limit == pytest.approx(10)


def test_a_batch_far_below_the_limit_says_nothing_about_it():
    guard = Guard(1_000)
    guard.missed(200)
    guard.passed(100)
    assert guard.limit == pytest.approx(180)


def test_the_limit_never_passes_max_size():
    guard = Guard(100)
    guard.missed(100)
    passes(guard, 100, 50)
    assert guard.limit == 100


def batches_to_rise(guard):
    limit = guard.limit
    for count in range(1, 5_000):
        guard.passed(int(guard.limit))
        if guard.limit > limit:
            return count
    pytest.fail("the limit never rose")


def test_a_size_that_overran_is_tried_again_ever_more_rarely():
    guard = Guard(1_000)
    waits = []
    for _ in range(8):
        passes(guard, 100, 1)
        guard.overran(101, failed=False)
        waits.append(batches_to_rise(guard))
    assert waits == sorted(waits)
    assert waits[0] <= 30
    assert 700 < waits[-1] <= 900


def test_patience_is_short_again_once_the_size_that_overran_works():
    guard = Guard(1_000)
    for _ in range(4):
        passes(guard, 100, 1)
        guard.overran(101, failed=False)
        batches_to_rise(guard)
    passes(guard, 101, 1)
    guard.overran(150, failed=False)
    assert batches_to_rise(guard) <= 30


def test_when_everything_overruns_the_handler_has_changed_and_the_limit_is_lifted():
    guard = Guard(1_000)
    assert [guard.overran(size, failed=False) for size in (400, 280, 196, 137)] == [False, False, False, True]
    assert guard.limit == 1_000


def test_failed_batches_shrink_the_limit_for_as_long_as_they_overrun():
    guard = Guard(1_000)
    for _ in range(10):
        assert not guard.overran(int(guard.limit), failed=True)
    assert guard.limit < 50


def test_after_a_long_fall_the_limit_recovers_in_large_steps():
    guard = Guard(1_000)
    for _ in range(10):
        guard.overran(int(guard.limit), failed=True)
    batches = 0
    while guard.limit < 800:
        guard.passed(int(guard.limit))
        batches += 1
    assert batches < 100
