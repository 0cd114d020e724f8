"""How many retries a client allows itself, so that it does not bury a server that is down already. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gristmill.errors import ConfigurationError

_WINDOW = 10.0
"""Seconds of the minimum that may be saved up."""
_ONE = 1 - 1e-9
"""Ten tenths are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """Retries are a share of the requests, and a few a second besides.

    Backoff spreads retries over time and does not make them fewer: a server that fails for everybody gets
    ``attempts`` times its load. A bucket of tokens, filled by first requests and emptied by retries, bounds
    that. After the retry budget of Twitter's Finagle, and of Google's SRE book, chapter 21.

    Args:
        share: Retries for each first request, 0 to 1.
        minimum: Retries a second that are always allowed, so that a quiet client may retry too.
    """

    share: float = 0.1
    minimum: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no share and no number."""
        if not 0 <= self.share <= 1:
            raise ConfigurationError(f"share is the retries for each request, 0 to 1, not {self.share!r}")
        if not 0 <= self.minimum < math.inf:
            raise ConfigurationError(f"minimum is retries a second, 0 or more, not {self.minimum!r}")


class Bucket:
    """The tokens of one client.

    Args:
        budget: How they come.
        now: The time, in seconds of any clock; the same one later.
    """

    def __init__(self, budget: RetryBudget, now: float) -> None:
        self._budget = budget
        self._most = max(1.0, budget.minimum * _WINDOW) + 1000 * budget.share
        self._tokens = min(self._most, budget.minimum * _WINDOW)
        self._at = now

    def deposit(self) -> None:
        """Note a first request."""
        self._tokens = min(self._most, self._tokens + self._budget.share)

    def has_one(self, now: float) -> bool:
        """Tell whether a retry is allowed."""
        self._tokens = min(self._most, self._tokens + max(0.0, now - self._at) * self._budget.minimum)
        self._at = max(now, self._at)
        return self._tokens >= _ONE

    def take(self, now: float) -> bool:
        """Take a token for a retry; False if there is none."""
        if not self.has_one(now):
            return False
        self._tokens -= 1
        return True
