from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.testing.handler_simulator import Cost, affine, cliff, noisy
from gristmill.tuning.fit import Cliff, find_cliff, fit, misfit, noise
from gristmill.tuning.ladder import ladder

SIZES = ladder(10_000)


def points(cost: Cost, sizes: tuple[int, ...] = SIZES) -> list[tuple[int, float]]:
    return [(size, cost(size, 0)) for size in sizes]


@given(st.floats(1e-6, 10.0), st.floats(1e-8, 1.0))
def test_a_line_is_found_again(fixed: float, item: float) -> None:
    found = fit(points(affine(fixed=fixed, item=item), (1, 2, 5, 10, 20, 50, 100)))
    assert found.fixed_cost == pytest.approx(fixed, rel=1e-3, abs=item * 1e-3)
    assert found.item_cost == pytest.approx(item, rel=1e-3, abs=fixed * 1e-5)


def test_small_batches_count_as_much_as_large_ones() -> None:
    # Unweighed, 10 % of the largest batch would hide the fixed cost: it is 20 ms of noise on 5 ms.
    exact = points(affine(fixed=0.005, item=0.00002))
    exact[-1] = (exact[-1][0], exact[-1][1] * 1.1)
    found = fit(exact)
    assert found.fixed_cost == pytest.approx(0.005, rel=0.02)
    assert found.item_cost == pytest.approx(0.00002, rel=0.1)


def test_noise_on_every_size_moves_the_line_little() -> None:
    found = fit(points(noisy(affine(fixed=0.005, item=0.00002), random.Random(3), sigma=0.05)))
    assert found.fixed_cost == pytest.approx(0.005, rel=0.1)
    assert found.item_cost == pytest.approx(0.00002, rel=0.1)


def test_the_fixed_cost_is_never_negative_nor_the_item_cost() -> None:
    rising = fit([(1, 0.001), (10, 0.02), (100, 0.3)])
    assert rising.fixed_cost == 0.0
    assert rising.item_cost > 0.0
    falling = fit([(1, 0.02), (10, 0.015), (100, 0.01)])
    assert falling.item_cost > 0.0
    assert falling.fixed_cost == pytest.approx(0.0125, rel=0.2)


def test_the_share_of_the_fixed_cost_falls_with_the_size() -> None:
    found = fit(points(affine(fixed=0.009, item=0.001)))
    assert found.fixed_share(1) == pytest.approx(0.9)
    assert found.fixed_share(81) == pytest.approx(0.1)


def test_a_cliff_is_found_where_it_is() -> None:
    steep = cliff(affine(fixed=0.005, item=0.00002), at=500, factor=3.0)
    found = find_cliff(points(steep))
    assert found == Cliff(500, 1000, pytest.approx(3.0, rel=0.01))


def test_a_cliff_at_the_last_size_is_one() -> None:
    assert find_cliff(points(cliff(affine(fixed=0.001, item=0.0001), at=5000, factor=2.0))) == Cliff(
        5000, 10_000, pytest.approx(2.0, rel=0.01)
    )


def test_a_straight_line_with_noise_has_no_cliff() -> None:
    for seed in range(50):
        line = noisy(affine(fixed=0.005, item=0.00002), random.Random(seed), sigma=0.08)
        assert find_cliff(points(line)) is None


def test_one_slow_size_between_good_ones_is_an_accident() -> None:
    line = points(affine(fixed=0.005, item=0.00002))
    line[8] = (line[8][0], 4 * line[8][1])
    assert find_cliff(line) is None


def test_a_bend_beyond_which_larger_batches_still_pay_is_no_cliff() -> None:
    assert find_cliff(points(lambda size, _: max(0.02, 0.001 * size))) is None


def test_misfit_is_the_largest_distance_from_the_line() -> None:
    line = points(affine(fixed=0.005, item=0.00002))
    assert misfit(fit(line), line) < 1e-6
    assert misfit(fit(line), [*line, (50, 0.012)]) == pytest.approx(1.0)


def test_a_few_slow_runs_are_no_noise() -> None:
    assert noise([[1.0] * 8 + [5.0], [2.0] * 8 + [9.0]]) == 0.0
    assert noise([[0.9, 1.0, 1.1], [1.8, 2.0, 2.2]]) == pytest.approx(0.148, rel=0.01)
