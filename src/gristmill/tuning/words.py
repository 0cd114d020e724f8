"""Numbers as people read them."""

from __future__ import annotations

import math

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_HUNDRED = 100
_TEN = 10
_NEARLY_ONE = 0.9995  # shown as 1.00
_ROUNDING = 1e-6  # 999.9999999 is a thousand


def duration(seconds: float) -> str:
    """Return *seconds* with two or three digits.

    >>> [duration(each) for each in (12.34, 0.00412, 0.0000205, 0.0)]
    ['12.3 s', '4.12 ms', '20.5 µs', '0 s']
    """
    number, unit = _in_unit(seconds)
    return f"{digits(number)} {unit}" if number else "0 s"


def tick(seconds: float) -> str:
    """Return *seconds*, a round number, for an axis.

    >>> tick(0.01), tick(0.0025)
    ('10 ms', '2.5 ms')
    """
    number, unit = _in_unit(seconds)
    return f"{number:.3g} {unit}"


def count(number: int) -> str:
    """Return *number* with its thousands apart.

    >>> count(2300)
    '2,300'
    """
    return f"{number:,}"


def items(number: int) -> str:
    """Return how many items.

    >>> items(1), items(2300)
    ('1 item', '2,300 items')
    """
    return f"{count(number)} {'item' if number == 1 else 'items'}"


def share(part: float) -> str:
    """Return *part* of 1 as a percentage.

    >>> [share(each) for each in (0.1, 0.0312, 0.0004, 0.9999)]
    ['10 %', '3.1 %', '< 0.1 %', '100 %']
    """
    percent = part * _HUNDRED
    if 0 < percent < 0.1:  # noqa: PLR2004 - the last digit shown
        return "< 0.1 %"
    return f"{percent:.0f} %" if round(percent, 1) >= _TEN or percent == 0 else f"{percent:.1f} %"


def short(number: float) -> str:
    """Return *number* in few characters, for axes and columns.

    >>> [short(each) for each in (0, 0.5, 950, 1200, 45_000, 2_500_000)]
    ['0', '0.5', '950', '1.2k', '45k', '2.5M']
    """
    for size, prefix in _PREFIXES:
        if number >= size * _NEARLY_ONE:
            return f"{number / size:.3g}{prefix}"
    return f"{number:.3g}"


def rounded(number: float, *, up: bool) -> int:
    """Return a whole number of two digits and zeros, at or above *number*, or at or below it.

    >>> rounded(2247, up=True), rounded(2247, up=False), rounded(7.2, up=True)
    (2300, 2200, 8)
    """
    if number < 1:
        return 1
    step: int = 10 ** max(0, math.floor(math.log10(number)) - 1)
    steps = math.ceil(number / step - _ROUNDING) if up else math.floor(number / step + _ROUNDING)
    return steps * step


def digits(number: float) -> str:
    """Return *number* with three digits, or two where it is small.

    >>> [digits(each) for each in (5236, 104.6, 45.41, 7.7, 0.0184)]
    ['5,236', '105', '45.4', '7.70', '0.018']
    """
    if number >= _HUNDRED:
        return f"{number:,.0f}"
    if number >= _NEARLY_ONE:
        return f"{number:.1f}" if number >= _TEN else f"{number:.2f}"
    return f"{number:.2g}"


def _in_unit(seconds: float) -> tuple[float, str]:
    for size, unit in _UNITS:
        if seconds >= size * _NEARLY_ONE:
            return seconds / size, unit
    return seconds * 1e9, "ns"
