"""Whether a failed item is tried again, and after how long; the caller brings the chance and the clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.errors import ConfigurationError, HandlerFailed, ItemFailed
from gristmill.model.numbers import is_number

RetryOn: TypeAlias = tuple[type[Exception], ...] | Callable[[Exception], bool]

_GROWTH_LIMIT = 700.0  # e**709 is the largest float; no cap in seconds is near


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Try failed items again, with exponential backoff and full jitter.

    Only for handlers that may see an item twice: a try that failed for the
    caller may have succeeded for the database.

    Args:
        attempts: Tries in all, the first included; at least 1, which never
            tries again.
        base: The longest wait before the second try, in seconds.
        cap: The longest wait before any try, in seconds.
        factor: What each further try multiplies the longest wait by, at least 1.
        on: Which errors are tried again. A tuple of exception classes matches
            the error a caller would see or, when that wraps what the handler
            raised or returned, the wrapped one. A function is given the error
            a caller would see (``__cause__`` is what the handler raised). None
            takes the errors that say so themselves: ``error.retryable``.
    """

    attempts: int = 3
    base: float = 0.1
    cap: float = 30.0
    factor: float = 2.0
    on: RetryOn | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be waited and an `on` that would match everything."""
        attempts: object = self.attempts  # whatever was given
        if not isinstance(attempts, int) or attempts < 1:
            raise ConfigurationError(
                f"attempts counts the first try too: a whole number, at least 1, got {attempts!r}"
            )
        for name, seconds in (("base", self.base), ("cap", self.cap)):
            if not is_number(seconds) or not 0 <= seconds < math.inf:  # this way round refuses NaN too
                raise ConfigurationError(
                    f"{name} must be a finite number of seconds, 0 or more, got {seconds!r}"
                )
        if not is_number(self.factor) or not 1 <= self.factor < math.inf:
            raise ConfigurationError(f"factor must be a finite number, 1 or more, got {self.factor!r}")
        if isinstance(self.on, type):
            # A class is callable and its instances are true: it would match every error.
            raise ConfigurationError(f"on must be a tuple of classes: write on=({self.on.__name__},)")
        on: object = self.on  # whatever was given
        is_classes = isinstance(on, tuple) and all(
            isinstance(kind, type) and issubclass(kind, BaseException) for kind in on
        )
        if not (on is None or is_classes or (callable(on) and not isinstance(on, tuple))):
            raise ConfigurationError(f"on takes a tuple of exception classes or a function, not {on!r}")

    def admits(self, error: Exception, attempt: int) -> bool:
        """Tell whether an item that failed with *error* is tried again.

        Args:
            error: What the item's caller would see raised.
            attempt: Tries made so far, at least 1.

        Raises:
            Exception: Whatever the function given as ``on`` raises.
        """
        return attempt < self.attempts and self.covers(error)

    def covers(self, error: Exception) -> bool:
        """Tell whether *error* is of a kind that is tried again; raises as ``admits``."""
        if self.on is None:
            return bool(getattr(error, "retryable", False))
        if isinstance(self.on, tuple):
            return isinstance(error, self.on) or isinstance(_wrapped(error), self.on)
        return bool(self.on(error))

    def delay(self, attempt: int, chance: float) -> float:
        """Return the seconds to wait after try number *attempt* failed.

        Full jitter: uniform between 0 and ``min(cap, base * factor ** (attempt - 1))``,
        so that items which failed together do not come back together.

        Args:
            attempt: Tries made so far, at least 1; no number is too large.
            chance: A random number, 0 <= chance < 1.
        """
        return self._longest(attempt - 1) * chance

    def _longest(self, steps: int) -> float:
        # Compared as a logarithm first: factor ** 10_000 is no float.
        if self.base > 0 and steps * math.log(self.factor) >= _GROWTH_LIMIT:
            return self.cap
        return min(self.cap, self.base * self.factor**steps) if self.base > 0 else 0.0


def _wrapped(error: Exception) -> BaseException | None:
    return error.__cause__ if isinstance(error, HandlerFailed | ItemFailed) else None
