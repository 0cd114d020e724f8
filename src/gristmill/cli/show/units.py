"""Numbers for people."""

from __future__ import annotations

_MINUTE, _HOUR = 60, 3600
_TEN = 9.95
"""What is ten with a decimal."""
_ROUNDED = 0.9995
"""Of a unit: from here on three digits make it the next one."""


def count_text(number: float) -> str:
    """Return *number*, short.

    >>> [count_text(each) for each in (7, 1234, 45_678, 1_234_567)]
    ['7', '1,234', '45.7k', '1.23M']
    """
    if number < 10_000:  # noqa: PLR2004 - five digits are short enough
        return f"{number:,.0f}"
    for limit, unit in ((1e6, "k"), (1e9, "M"), (1e12, "G")):
        if number < limit * _ROUNDED:
            return f"{number / limit * 1000:.3g}{unit}"
    return f"{number:.3g}"


def bytes_text(number: float) -> str:
    """Return *number* bytes, short.

    >>> [bytes_text(each) for each in (999, 45_678, 1_234_567_890)]
    ['999 B', '45.7 kB', '1.23 GB']
    """
    if number < 1000:  # noqa: PLR2004 - bytes are as short
        return f"{number:.0f} B"
    for limit, unit in ((1e6, "kB"), (1e9, "MB"), (1e12, "GB")):
        if number < limit * _ROUNDED:
            return f"{number / limit * 1000:.3g} {unit}"
    return f"{number / 1e12:.3g} TB"


def seconds_text(seconds: float) -> str:
    """Return *seconds* as a clock shows them, or with a decimal below ten.

    >>> [seconds_text(each) for each in (1.26, 42, 75, 7384)]
    ['1.3 s', '42 s', '1:15', '2:03:04']
    """
    if seconds < _TEN:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    hours, rest = divmod(whole, _HOUR)
    minutes, left = divmod(rest, _MINUTE)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
