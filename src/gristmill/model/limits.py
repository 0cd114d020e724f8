"""What bounds one batch handler: sizes, waits, weights, room and time. Pure data, checked once."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from gristmill.errors import ConfigurationError
from gristmill.model.linger import FixedWait, Linger
from gristmill.model.numbers import is_number
from gristmill.model.retry import Retry
from gristmill.model.sizing import Adaptive

OnError: TypeAlias = Literal["raise", "bisect"]

DEFAULT_CONCURRENCY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The options of one handler, as ``@batch`` takes them.

    Attributes:
        max_size: Items in one batch; ``Adaptive`` learns it.
        max_wait: Seconds a batch may linger for company while a slot is free,
            counted from its oldest live item; 0 never waits. ``Linger`` weighs
            the wait against the fixed cost of a call.
        max_weight: Summed ``weigh(item)`` of one batch; None is unbounded.
        weigh: An item's weight, 0 or more. Called once an item, in the caller's frame.
        concurrency: Batches in flight at once; None takes the executor's slots.
        key: Items of different keys never share a batch.
        dedupe: Equal items of one batch are sent once; a callable gives what is compared.
        max_pending: Items admitted and not answered, at most.
        timeout: Seconds from a call to its answer; None is unbounded. For
            items that arrive as a list the clock starts when their batch does.
        retry: When and how failed items are tried again; None never.
        on_error: ``"raise"`` fails the whole batch when the handler raises,
            ``"bisect"`` re-runs its halves until the poison items stand alone
            (for handlers that are atomic or idempotent).
    """

    max_size: int | Adaptive = 100
    max_wait: float | Linger = 0.0
    max_weight: float | None = None
    weigh: Callable[[Any], float] | None = None
    concurrency: int | None = None
    key: Callable[[Any], Hashable] | None = None
    dedupe: bool | Callable[[Any], Hashable] = False
    max_pending: int = 10_000
    timeout: float | None = 30.0
    retry: Retry | None = None
    on_error: OnError = "raise"

    def __post_init__(self) -> None:
        """Refuse what cannot work, with what would."""
        self._check_numbers()
        self._check_functions()

    def _check_numbers(self) -> None:
        if not isinstance(self.max_size, Adaptive):
            _whole("max_size", self.max_size)
        if not isinstance(self.max_wait, Linger):
            _seconds("max_wait", self.max_wait)
        if self.max_weight is not None and not _is_positive(self.max_weight):
            raise ConfigurationError(f"max_weight must be a number above 0, not {self.max_weight!r}")
        if self.concurrency is not None:
            _whole("concurrency", self.concurrency)
        _whole("max_pending", self.max_pending)
        if self.timeout is not None and not _is_positive(self.timeout):
            raise ConfigurationError(f"timeout must be seconds above 0, or None, not {self.timeout!r}")

    def _check_functions(self) -> None:
        for option in ("weigh", "key"):
            value = getattr(self, option)
            if value is not None and not callable(value):
                raise ConfigurationError(f"{option} takes a function of one item, not {value!r}")
        if (self.weigh is None) != (self.max_weight is None):
            raise ConfigurationError("max_weight and weigh go together: weigh=len, max_weight=1 << 20")
        if not isinstance(self.dedupe, bool) and not callable(self.dedupe):
            raise ConfigurationError(f"dedupe is True, False or a function of one item, not {self.dedupe!r}")
        if self.retry is not None and not isinstance(self.retry, Retry):
            raise ConfigurationError(f"retry takes Retry(attempts=...), not {self.retry!r}")
        if self.on_error not in ("raise", "bisect"):
            raise ConfigurationError(f'on_error is "raise" or "bisect", not {self.on_error!r}')

    @property
    def wait(self) -> FixedWait | Linger:
        """``max_wait`` as the policy that says when a batch is due."""
        return self.max_wait if isinstance(self.max_wait, Linger) else FixedWait(self.max_wait)

    @property
    def largest(self) -> int:
        """The most items one batch may ever hold."""
        return self.max_size.max_size if isinstance(self.max_size, Adaptive) else self.max_size

    @property
    def max_pending_weight(self) -> float:
        """The weight that may be pending: as many full batches as ``max_pending`` has."""
        if self.max_weight is None:
            return math.inf
        return self.max_weight * max(1.0, self.max_pending / self.largest)


def _is_positive(value: object) -> bool:
    return is_number(value) and 0 < value < math.inf  # type: ignore[operator]  # it is a number


def _whole(option: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{option} must be a whole number of 1 or more, not {value!r}")


def _seconds(option: str, value: object) -> None:
    if not is_number(value) or not 0 <= value < math.inf:  # type: ignore[operator]  # as above
        raise ConfigurationError(f"{option} must be seconds, 0 or more, not {value!r}")
