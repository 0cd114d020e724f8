from __future__ import annotations

import pytest

from gristmill.cli.show.units import bytes_text, count_text, seconds_text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10_000, "10k"),
        (999_949, "1M"),
        (1_500_000, "1.5M"),
        (2e9, "2G"),
        (5e13, "5e+13"),
    ],
)
def test_counts_are_short(number: float, text: str) -> None:
    assert count_text(number) == text


@pytest.mark.parametrize("number", [9_999.6, 999_499.0, 999_999.0, 999_999_999.0])
def test_no_number_is_written_with_an_exponent_below_the_largest_unit(number: float) -> None:
    assert "e" not in count_text(number)
    assert "e" not in bytes_text(number)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1.5e9, "1.5 GB"), (3e12, "3 TB")]
)
def test_bytes_are_short(number: float, text: str) -> None:
    assert bytes_text(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (3599.7, "1:00:00"),
        (3600, "1:00:00"),
    ],
)
def test_seconds_are_those_of_a_clock(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
