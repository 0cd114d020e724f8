from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.tuning.ladder import chosen, ladder


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (10, (1, 2, 5, 10)),
        (11, (1, 2, 5, 11)),
        (900, (1, 2, 5, 10, 20, 50, 100, 200, 500, 900)),
        (1000, (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
    ],
)
def test_steps_are_even_on_a_logarithmic_axis_and_end_at_the_largest(
    largest: int, sizes: tuple[int, ...]
) -> None:
    assert ladder(largest) == sizes


def test_chosen_sizes_come_in_order_and_once() -> None:
    assert chosen([100, 1, 10, 1]) == (1, 10, 100)


@pytest.mark.parametrize("sizes", [[], [5], [5, 5], [0, 5], [-1, 2]])
def test_sizes_that_tell_nothing_are_refused(sizes: list[int]) -> None:
    with pytest.raises(ConfigurationError, match=r"2 or more numbers .* such as 1,10,100"):
        chosen(sizes)
