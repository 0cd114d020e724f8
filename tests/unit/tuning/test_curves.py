from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.tuning.curves import curve_sizes, log_ticks, nice_top


@given(st.floats(1e-6, 1e12))
def test_the_top_of_an_axis_is_at_or_a_little_above_the_largest(largest: float) -> None:
    assert largest * (1 - 1e-6) <= nice_top(largest) <= 1.5 * largest


@given(st.floats(1e-9, 1e3), st.floats(1.7, 1e6))
def test_a_logarithmic_axis_has_two_ticks_or_more_within_its_range(low: float, times: float) -> None:
    ticks = log_ticks(low, low * times)
    assert len(ticks) >= 2
    assert all(low * 0.99 <= each <= low * times * 1.01 for each in ticks)


def test_a_curve_goes_from_end_to_end() -> None:
    sizes = curve_sizes(2, 5000, 50)
    assert len(sizes) == 50
    assert (sizes[0], sizes[-1]) == (pytest.approx(2), pytest.approx(5000))
    assert sizes == sorted(sizes)
