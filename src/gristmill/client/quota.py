"""How many more requests a server takes before its quotas come back, as far as it told. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from gristmill.client.asked_wait import told_limits

_SLACK = 1.0
"""Seconds: the time to a reset is told in whole ones, so that of one window moves by as much."""
_LOOK = 0.05
"""Seconds between two looks whether answers that are on their way leave more."""
_LONGEST = 120.0
"""Seconds after which a server is asked again that wants a longer rest: it may have been wrong."""
_UNIT = re.compile(r';\s*qu\s*=\s*"?([a-z-]+)')


@dataclass(slots=True)
class _Window:
    """What is left of one quota until it comes back.

    Attributes:
        until: When it does.
        told: The least that an answer told of it: answers overtake each other.
        left: Requests that may be sent before: *told*, less those that may not be counted in it yet.
        spent_at: When nothing was found to be left.
    """

    until: float
    told: int
    left: int
    spent_at: float | None = None


class Quota:
    """The quotas of one server (``RateLimit``, draft-ietf-httpapi-ratelimit-headers), counted in requests."""

    def __init__(self) -> None:
        self._flying = 0
        self._windows: dict[str, _Window] = {}

    def begin(self) -> None:
        """Count a request that is sent now."""
        self._flying += 1
        for window in self._windows.values():
            window.left -= 1

    def end(self) -> None:
        """Note that a request is answered, or never will be."""
        self._flying -= 1

    def note(self, headers: Mapping[str, str], now: float) -> None:
        """Learn what the headers of an answer tell, after ``end`` of its request.

        Args:
            headers: By name in lower case.
            now: The time, in seconds of any clock; the same one later.
        """
        value = headers.get("ratelimit")
        if value is None:
            return
        others = _in_other_units(headers.get("ratelimit-policy", ""))
        for name, limit in told_limits(value).items():
            if name in others or "r" not in limit or "t" not in limit:
                continue
            until, told = now + limit["t"], limit["r"]
            known = self._windows.get(name)
            if known is not None and known.until > now and until <= known.until + _SLACK:
                until, told = known.until, min(told, known.told)
            self._windows[name] = _Window(until, told, told - self._flying)

    def wait(self, now: float) -> float:
        """Return the seconds after which another request may go, or after which to ask again; 0 for now."""
        longest = 0.0
        for name, window in list(self._windows.items()):
            until = window.until
            if window.left <= 0:
                window.spent_at = now if window.spent_at is None else window.spent_at
                until = min(until, window.spent_at + _LONGEST)
            if until <= now:
                del self._windows[name]
            elif window.left <= 0:
                may_open = self._flying > 0 and window.told > 0
                longest = max(longest, min(until - now, _LOOK if may_open else math.inf))
        return longest


def _in_other_units(policies: str) -> set[str]:
    """Return the names of the policies that count something else than requests."""
    units = ((each.partition(";")[0].strip(), _UNIT.search(each)) for each in policies.split(","))
    return {name for name, unit in units if unit is not None and unit[1] != "requests"}
