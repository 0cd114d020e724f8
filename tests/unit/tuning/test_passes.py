from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from gristmill.errors import ConfigurationError
from gristmill.testing.handler_simulator import Cost, affine, cliff, drifting
from gristmill.tuning.passes import Passes, Turn


def run(passes: Passes, cost: Cost) -> tuple[list[Turn], float]:
    """Take all turns, each costing what *cost* says; return them and the time."""
    turns: list[Turn] = []
    elapsed = 0.0
    while (turn := passes.next(elapsed)) is not None:
        seconds = cost(turn.size, len(turns))
        elapsed += seconds
        passes.ended(turn, seconds)
        turns.append(turn)
    return turns, elapsed


def passes(sizes: Sequence[int], *, seconds: float = 10.0, repeats: int = 4, seed: int = 1) -> Passes:
    return Passes(sizes, seconds=seconds, repeats=repeats, chance=random.Random(seed))


def test_every_size_warms_up_first_and_the_smallest_twice() -> None:
    turns, _ = run(passes([1, 10, 100]), affine(fixed=0.01, item=0.0))
    assert [turn.size for turn in turns[:4]] == [1, 1, 10, 100]
    assert [turn.counts for turn in turns[:5]] == [False, False, False, False, True]


def test_each_pass_holds_every_size_once_in_an_order_of_its_own() -> None:
    turns, _ = run(passes([1, 2, 5, 10, 20], repeats=6), affine(fixed=0.01, item=0.0))
    counted = [turn.size for turn in turns if turn.counts]
    orders = [tuple(counted[start : start + 5]) for start in range(0, len(counted), 5)]
    assert len(orders) == 6
    assert all(sorted(order) == [1, 2, 5, 10, 20] for order in orders)
    assert len(set(orders)) > 3


def test_passes_end_before_the_time_is_over() -> None:
    turns, elapsed = run(passes([1, 2], seconds=10.5, repeats=1000), affine(fixed=0.4, item=0.0))
    assert elapsed == pytest.approx(10.0)
    assert Counter(turn.size for turn in turns if turn.counts) == {1: 11, 2: 11}


def test_sizes_for_which_three_runs_have_no_time_are_left_out() -> None:
    wanted = passes([1, 10, 100, 1000, 10_000], seconds=10)
    turns, elapsed = run(wanted, affine(fixed=0.01, item=0.001))
    assert wanted.sizes == [1, 10, 100, 1000]
    assert wanted.left_out == [10_000]
    assert {turn.size for turn in turns} == {1, 10, 100, 1000}
    assert elapsed <= 10.0


def test_a_size_that_took_far_longer_than_was_thought_is_given_up() -> None:
    wanted = passes([1, 10, 100, 1000], seconds=10)
    turns, _ = run(wanted, cliff(affine(fixed=0.01, item=0.001), at=100, factor=9.0))
    assert wanted.left_out == [1000]
    assert Counter(turn.size for turn in turns if turn.counts) == {1: 4, 10: 4, 100: 4}


def test_three_runs_of_each_size_are_made_although_the_handler_got_slower() -> None:
    turns, elapsed = run(
        passes([1, 2, 5], seconds=10, repeats=30), drifting(affine(fixed=0.5, item=0.0), per_batch=0.09)
    )
    assert 10 < elapsed < 20
    assert Counter(turn.size for turn in turns if turn.counts) == {1: 3, 2: 3, 5: 3}


def test_twice_the_time_is_the_end_whatever_is_missing() -> None:
    _, elapsed = run(passes([1, 2, 5], seconds=10), lambda _size, index: 0.5 if index < 6 else 8.0)
    assert 20 < elapsed < 28.1


def test_a_handler_that_is_too_slow_is_told_how_long_it_would_take() -> None:
    with pytest.raises(
        ConfigurationError, match=r"1 item takes 4.00 s: too slow .* in 10 s; .* --seconds 45"
    ):
        run(passes([1, 2]), affine(fixed=4.0, item=0.0))
    turns, _ = run(passes([1, 2], seconds=45), affine(fixed=4.0, item=0.0))
    assert Counter(turn.size for turn in turns if turn.counts) == {1: 4, 2: 4}


@pytest.mark.parametrize(
    ("options", "message"), [({"seconds": 0.0}, "above 0"), ({"repeats": 0}, "at least 1")]
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        passes([1, 2], **options)  # type: ignore[arg-type]
