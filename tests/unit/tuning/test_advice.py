from __future__ import annotations

from collections.abc import Callable

import pytest

from gristmill import Adaptive
from gristmill.errors import ConfigurationError
from gristmill.model.sizing import efficient_size, size_within
from gristmill.testing.handler_simulator import affine, cliff, simulate
from gristmill.tuning.advice import Bound, advise
from gristmill.tuning.ladder import ladder
from gristmill.tuning.measuring import Measurement, SizeRuns

Measured = Callable[..., Measurement]

SIZES = ladder(10_000)
LINE = affine(fixed=0.005, item=0.00002)


def test_the_size_is_that_at_which_the_fixed_cost_no_longer_matters(measured: Measured) -> None:
    found = advise(measured(LINE, SIZES), Adaptive())
    assert (found.size, found.bound) == (2300, Bound.EFFICIENCY)
    assert found.size >= efficient_size(0.005, 0.00002, 0.9) == 2250
    assert found.why == "at 2,300 items the fixed 5.00 ms is 9.8 % of a batch"
    assert (found.noise, found.cliff, found.notes) == (pytest.approx(0.0), None, ())
    assert advise(measured(LINE, SIZES), Adaptive(efficiency=0.5)).size == 250


def test_adaptive_comes_to_the_same_size_by_itself(measured: Measured) -> None:
    learnt = simulate(Adaptive().controller(), LINE, batches=500).final_cap
    assert advise(measured(LINE, SIZES), Adaptive()).size == pytest.approx(learnt, rel=0.15)


def test_a_target_latency_comes_before_efficiency(measured: Measured) -> None:
    found = advise(measured(LINE, SIZES), Adaptive(target_latency=0.025))
    assert (found.size, found.bound) == (1000, Bound.TARGET_LATENCY)
    assert size_within(0.025, 0.005, 0.00002, 0.0) == pytest.approx(1000)
    assert "a larger one would miss the target of 25.0 ms" in found.why


def test_noise_is_kept_free_below_the_target(measured: Measured) -> None:
    shaken = measured(lambda size, index: LINE(size, index) * (0.8, 0.9, 1.0, 1.1, 1.2)[index], SIZES)
    found = advise(shaken, Adaptive(target_latency=0.025))
    assert found.noise == pytest.approx(0.148, rel=0.01)
    assert found.size < 650
    assert LINE(found.size, 0) * (1 + 2 * found.noise) < 0.025


def test_a_target_that_no_size_meets_is_told(measured: Measured) -> None:
    found = advise(measured(LINE, SIZES), Adaptive(target_latency=0.004))
    assert (found.size, found.bound) == (1, Bound.TARGET_LATENCY)
    assert found.why == "even 1 item takes 5.02 ms, more than the target of 4.00 ms"


def test_nothing_beyond_a_cliff_is_recommended_or_fitted(measured: Measured) -> None:
    found = advise(measured(cliff(LINE, at=500, factor=3.0), SIZES), Adaptive())
    assert (found.size, found.bound) == (500, Bound.CLIFF)
    assert found.cost.fixed_cost == pytest.approx(0.005)
    assert "batches of 1,000 items take 3.0 times as long" in found.notes[0]
    assert "max_size at 500 or below" in found.notes[0]


def test_a_cliff_beyond_the_efficient_size_is_told_all_the_same(measured: Measured) -> None:
    found = advise(measured(cliff(LINE, at=5000, factor=3.0), SIZES), Adaptive())
    assert (found.size, found.bound) == (2300, Bound.EFFICIENCY)
    assert found.notes[0].startswith("Cliff")


def test_the_largest_size_is_taken_when_it_is_still_too_small(measured: Measured) -> None:
    found = advise(measured(LINE, ladder(500)), Adaptive())
    assert (found.size, found.bound) == (500, Bound.LARGEST)
    assert "2,300 would bring it to 10 %: give a larger sample" in found.why


def test_batching_does_not_pay_where_items_are_all_the_cost(measured: Measured) -> None:
    found = advise(measured(affine(fixed=0.00001, item=0.001), SIZES), Adaptive())
    assert (found.size, found.bound) == (1, Bound.NO_GAIN)
    assert found.why.startswith("batching does not pay: an item costs 1.00 ms in a batch of any size")


def test_what_makes_the_figures_doubtful_is_noted(measured: Measured) -> None:
    curved = measured(lambda size, _: 0.001 * size**0.5, SIZES, left_out=(20_000, 50_000))
    notes = " ".join(advise(curved, Adaptive(), rows=300).notes)
    assert "no straight line" in notes
    assert "No time for batches of 20,000 items and more" in notes
    assert "The sample has 300 rows" in notes
    shaken = measured(lambda size, index: LINE(size, index) * (0.5, 0.6, 1.0, 1.4, 1.5)[index], SIZES)
    assert any("is busy" in note for note in advise(shaken, Adaptive()).notes)


@pytest.mark.parametrize(("failed", "is_told_why"), [(10, False), (90, True)])
def test_failed_items_are_noted(failed: int, *, is_told_why: bool) -> None:
    runs = (SizeRuns(10, (0.1,) * 5, failed), SizeRuns(20, (0.2,) * 5))
    note = advise(Measurement(runs, codes=(("taken", failed),)), Adaptive()).notes[-1]
    assert note.startswith(f"{failed} of 150 items failed (taken).")
    assert ("how fast they fail" in note) is is_told_why


def test_one_size_is_not_enough() -> None:
    with pytest.raises(ConfigurationError, match="too slow to measure two sizes"):
        advise(Measurement((SizeRuns(1, (1.0,)),)), Adaptive())
