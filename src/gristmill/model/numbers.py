"""What counts as a number where one is given as an option."""

from __future__ import annotations


def is_number(value: object) -> bool:
    """Tell whether *value*, whatever was given, is a number: ``True`` and ``"1"`` are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
