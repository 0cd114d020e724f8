"""Instants and durations, for people and for programs."""

from __future__ import annotations

import datetime as dt

from gristmill.errors import ConfigurationError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def rfc3339(at: float | None) -> str | None:
    """Return an instant of the epoch for programs.

    >>> rfc3339(0.25)
    '1970-01-01T00:00:00.250Z'
    """
    if at is None:
        return None
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(at: float) -> str:
    """Return an instant of the epoch for people: local time, to the second."""
    return dt.datetime.fromtimestamp(at, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """Return a duration in the largest unit that it has one of.

    >>> [span(each) for each in (-1, 0.4, 59.9, 60, 5400, 172_800)]
    ['0s', '0s', '59s', '1m', '1h', '2d']
    """
    for unit, length in reversed(_UNITS.items()):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return "0s"


def duration(text: str) -> float:
    """Return the seconds that *text* names: ``90``, ``1.5``, ``90s``, ``30m``, ``2h``, ``7d``.

    Raises:
        ConfigurationError: It names none, or less than 0.

    >>> [duration(each) for each in ("90", "1.5", "30m", "2h")]
    [90.0, 1.5, 1800.0, 7200.0]
    """
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    if not number.isascii() or not number.replace(".", "", 1).isdigit():
        raise ConfigurationError(f"{text!r} is no duration: write 90, 90s, 30m, 2h or 7d")
    return float(number) * _UNITS[unit]


def instant(text: str, now: float) -> float:
    """Return the instant that *text* names, in seconds of the epoch.

    Args:
        text: A date, or a date and a time, of ISO 8601 (local time unless it says otherwise); or a duration
            before *now*: ``90s``, ``30m``, ``2h``, ``7d``.
        now: In seconds of the epoch.

    Raises:
        ConfigurationError: It is none of these.
    """
    number, unit = text[:-1], text[-1:]
    if unit in _UNITS and number.isascii() and number.isdigit():
        return now - int(number) * _UNITS[unit]
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigurationError(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00, or 2h for two hours ago"
        ) from error
