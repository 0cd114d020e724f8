from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.sizing import Adaptive, SizeBound

seconds = st.one_of(st.floats(), st.floats(0, 1), st.just(0.0))
batches = st.lists(st.tuples(st.floats(0, 1), seconds, st.booleans(), st.booleans()), max_size=80)
settings = st.builds(
    Adaptive,
    target_latency=st.none() | st.floats(1e-4, 10),
    min_size=st.integers(1, 50),
    max_size=st.integers(50, 5_000),
    start=st.integers(1, 10_000),
    efficiency=st.floats(0.01, 0.99),
)


def run(controller, cost, count):
    """Feed *count* full batches, each as large as the cap; return the caps."""
    caps = []
    for _ in range(count):
        size = controller.cap
        caps.append(size)
        controller.record(size, cost(size), full=True)
    return caps


def affine(size):
    return 0.005 + 0.0001 * size


@given(settings, batches)
def test_the_cap_never_leaves_its_limits(adaptive, samples):
    controller = adaptive.controller()
    for share, duration, full, failed in samples:
        assert adaptive.min_size <= controller.cap <= adaptive.max_size
        size = controller.cap if full else max(1, int(share * controller.cap))
        controller.record(size, duration, full=full, failed=failed)
    assert adaptive.min_size <= controller.cap <= adaptive.max_size


@given(settings, batches)
def test_the_cap_at_most_doubles_and_only_after_a_full_batch(adaptive, samples):
    controller = adaptive.controller()
    highest = controller.cap
    for share, duration, full, failed in samples:
        size = controller.cap if full else max(1, int(share * controller.cap))
        controller.record(size, duration, full=full, failed=failed)
        assert controller.cap <= max(highest, 2 * size if full and not failed else 0)
        highest = max(highest, controller.cap)


def test_the_size_that_spends_nine_tenths_on_items_is_found_in_ten_batches():
    controller = Adaptive().controller()
    caps = run(controller, affine, 200)
    assert sum(abs(cap - 450) >= 25 for cap in caps[12:]) <= 4  # the probes, now and then
    seen = controller.snapshot()
    assert seen.bound is SizeBound.EFFICIENCY
    assert seen.fixed_cost == pytest.approx(0.005)
    assert seen.item_cost == pytest.approx(0.0001)
    assert seen.samples == 199


@pytest.mark.parametrize(("efficiency", "right"), [(0.5, 50), (0.8, 200), (0.95, 950)])
def test_efficiency_moves_the_size(efficiency, right):
    controller = Adaptive(efficiency=efficiency).controller()
    run(controller, affine, 100)
    assert controller.cap == pytest.approx(right, rel=0.11)


def test_a_target_latency_bounds_the_size_where_it_is_lower():
    controller = Adaptive(target_latency=0.025).controller()
    caps = run(controller, affine, 200)
    assert controller.snapshot().bound is SizeBound.TARGET_LATENCY
    assert 185 <= controller.cap <= 200
    assert max(map(affine, caps[1:])) <= 0.025


def test_a_target_below_the_fixed_cost_leaves_the_smallest_size():
    controller = Adaptive(target_latency=0.001, min_size=3).controller()
    run(controller, affine, 40)
    assert controller.cap == 3
    assert controller.snapshot().bound is SizeBound.MIN_SIZE


def test_the_cap_shrinks_by_half_at_most():
    controller = Adaptive(start=1_000, target_latency=0.01).controller()
    caps = run(controller, affine, 12)
    assert caps[1:5] == [1_000, 500, 250, 125]


def test_a_cliff_is_found_and_the_guard_named_as_the_bound():
    controller = Adaptive().controller()
    caps = run(controller, lambda size: affine(size) * (8 if size > 200 else 1), 1_000)
    assert controller.snapshot().bound is SizeBound.GUARD
    assert 150 <= controller.cap <= 205
    assert sum(cap > 200 for cap in caps) < 12


def test_a_handler_of_nearly_no_item_cost_gets_the_largest_size():
    controller = Adaptive(max_size=2_000).controller()
    run(controller, lambda size: 0.05 + 1e-7 * size, 40)
    assert controller.cap == 2_000
    assert controller.snapshot().bound is SizeBound.MAX_SIZE


def test_a_handler_without_fixed_cost_gets_a_tiny_size():
    controller = Adaptive(min_size=2).controller()
    run(controller, lambda size: 0.001 * size, 60)
    assert controller.cap <= 4


def test_before_anything_is_learnt_the_cap_is_the_start_inside_its_limits():
    assert Adaptive(start=50).controller().cap == 50
    assert Adaptive(start=50, max_size=20).controller().cap == 20
    assert Adaptive(start=5, min_size=9).controller().cap == 9
    assert Adaptive().controller().snapshot().bound is SizeBound.LEARNING


def test_batches_that_are_not_full_never_raise_the_cap():
    controller = Adaptive(start=32).controller()
    for size in (1, 5, 20, 30, 32) * 20:
        controller.record(size, affine(size), full=False)
    assert controller.cap == 32


def test_a_failed_batch_teaches_no_cost():
    controller = Adaptive().controller()
    run(controller, affine, 30)
    before = controller.snapshot()
    controller.record(controller.cap, 0.0001, full=True, failed=True)
    after = controller.snapshot()
    assert (after.samples, after.fixed_cost) == (before.samples, before.fixed_cost)


def test_failed_batches_that_take_too_long_lower_the_cap():
    controller = Adaptive(target_latency=1.0).controller()
    run(controller, affine, 30)
    before = controller.cap
    for _ in range(5):
        controller.record(controller.cap, 30.0, full=True, failed=True)
    assert controller.cap < before // 2


@pytest.mark.parametrize("duration", [math.nan, math.inf, -1.0, 1e300])
def test_what_is_no_duration_changes_nothing(duration):
    controller = Adaptive(target_latency=0.05).controller()
    run(controller, affine, 30)
    before = controller.snapshot()
    controller.record(before.cap, duration, full=True)
    assert controller.snapshot() == before


def test_a_clock_that_only_ever_reads_zero_lets_the_cap_grow():
    controller = Adaptive(max_size=512).controller()
    run(controller, lambda _size: 0.0, 20)
    assert controller.cap == 512


def test_one_slow_batch_does_not_move_a_settled_cap():
    controller = Adaptive().controller()
    run(controller, affine, 60)
    before = controller.cap
    controller.record(before, 10.0, full=True)
    assert controller.cap == before


def test_a_handler_three_times_slower_keeps_its_efficient_size():
    controller = Adaptive().controller()
    run(controller, affine, 100)
    caps = run(controller, lambda size: 3 * affine(size), 100)
    assert caps[-1] == pytest.approx(450, rel=0.15)
    assert controller.snapshot().fixed_cost == pytest.approx(0.015, rel=0.15)


def test_the_repr_shows_the_cap_and_its_bound():
    assert repr(Adaptive(start=7).controller()) == "SizeController(cap=7, bound='learning', samples=0)"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"target_latency": 0.0}, "target_latency"),
        ({"target_latency": math.nan}, "target_latency"),
        ({"target_latency": math.inf}, "target_latency"),
        ({"min_size": 0}, "min_size"),
        ({"min_size": 11, "max_size": 10}, "max_size"),
        ({"start": 0}, "start"),
        ({"max_size": 2.5}, "max_size must be a whole number"),
        ({"efficiency": 0.0}, "efficiency"),
        ({"efficiency": 1.0}, "efficiency"),
        ({"efficiency": math.nan}, "efficiency"),
    ],
)
def test_settings_that_no_cap_can_meet_are_refused_by_name(options, named):
    with pytest.raises(ConfigurationError, match=named):
        Adaptive(**options)


def test_a_probe_does_not_hide_a_growth_that_a_batch_which_is_not_full_would_then_show():
    controller = Adaptive(target_latency=None, max_size=94, start=84, efficiency=0.953125).controller()
    batches = [
        (0.83, 0.0, False, False), (0.21, 0.0, True, True), (0.85, 0.0, True, True),
        (0.0, 0.0625, False, False),
        (0.23, -1.0, True, False), (0.52, 1.0, True, False), (0.456, 1.0, False, True),
    ]  # fmt: skip
    for share, seconds, full, failed in batches:
        size = controller.cap if full else max(1, int(share * controller.cap))
        controller.record(size, seconds, full=full, failed=failed)
        assert controller.cap <= 84
