from __future__ import annotations

import doctest

import pytest

from gristmill.tuning import curves, ladder, words


@pytest.mark.parametrize("module", [curves, ladder, words])
def test_the_examples_of_the_docstrings_are_true(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.0, "1.00 s"),
        (0.9999, "1.00 s"),
        (0.999, "999 ms"),
        (0.0000226e-3, "22.6 ns"),
        (75.0, "75.0 s"),
        (0.0, "0 s"),
    ],
)
def test_durations_are_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "up", "down"),
    [
        (0.3, 1, 1),
        (1, 1, 1),
        (9.01, 10, 9),
        (99.5, 100, 99),
        (999.9999999, 1000, 1000),
        (2300, 2300, 2300),
        (123_456, 130_000, 120_000),
    ],
)
def test_sizes_are_rounded_to_two_digits(number: float, up: int, down: int) -> None:
    assert (words.rounded(number, up=True), words.rounded(number, up=False)) == (up, down)


def test_shares_do_not_hide_what_there_is() -> None:
    assert [words.share(each) for each in (0.0, 0.00001, 0.0996, 1.0)] == ["0 %", "< 0.1 %", "10 %", "100 %"]
