"""Which rows of a statement are refused: by halves, so that one costs O(log n) round trips.

The statement is tried with all rows, inside a savepoint. If a row is refused,
the savepoint is rolled back and both halves are tried in their order, until
the refused rows stand alone. For k of n rows that is O(k log n) statements
(group testing by binary splitting, F. K. Hwang, 1972). Two things save round
trips: a savepoint that was rolled back to serves again, and where a whole had
failed and its left half succeeded, the right half is split without a try.
Where more than 0.38 of the rows so far were refused, each of the next ones is
tried alone: no test of groups is better then (P. Ungar, The cutoff point for
group testing, 1960).

Since earlier rows are written before later ones, of two rows that exclude each
other the first one is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gristmill.databases.faults import RowRefused
from gristmill.databases.operation import Stored

_CUTOFF = 0.38
_FEW = 16
"""Rows, of which fewer tell nothing."""


class Savepoints(Protocol):
    """One savepoint in the transaction of a connection; each call is one round trip."""

    async def savepoint(self) -> None:
        """Set it."""

    async def roll_back_to(self) -> None:
        """Undo what was done since; it stays set."""

    async def renew(self) -> None:
        """Keep what was done since, and set it anew."""

    async def release(self) -> None:
        """Keep what was done since, and give it up."""


class Attempt(Protocol):
    """A statement over some of the rows of a group."""

    async def __call__(self, start: int, stop: int) -> Sequence[Stored]:
        """Run it over rows ``start:stop``, and return what became of each.

        Raises:
            RowRefused: Nothing was written.
        """


async def isolate(
    points: Savepoints, attempt: Attempt, start: int, stop: int, *, known_bad: bool = False
) -> list[Any]:
    """Write the rows ``start:stop`` but for those that are refused, and return what became of each.

    Args:
        points: Of the transaction, which must be open.
        attempt: Writes.
        start: The first row.
        stop: One past the last row.
        known_bad: All together were tried, and refused, before.
    """
    outcomes: list[Any] = [None] * (stop - start)
    pending = [_Span(start, stop, is_bad=known_bad)]  # the last one is the next
    decided = refusals = 0
    await points.savepoint()
    while pending:
        span = pending.pop()
        low, high = span.start, span.stop
        is_storm = decided >= _FEW and refusals > _CUTOFF * decided
        if (span.is_bad or is_storm) and high - low > 1:
            pending += span.halves(is_bad=span.is_bad)
            continue
        try:
            stored = await attempt(low, high)
        except RowRefused as refused:
            if refused.is_sent:
                await points.roll_back_to()
            if high - low > 1:
                pending += span.halves(is_bad=True)
            else:
                outcomes[low - start] = refused.failed
                decided += 1
                refusals += 1
        else:
            decided += high - low
            outcomes[low - start : high - start] = stored
            if pending:
                if span.is_left:
                    pending[-1] = replace(pending[-1], is_bad=True)
                await points.renew()
    await points.release()
    return outcomes


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows to be written; bad if one of them is known to be refused, left if their whole was refused."""

    start: int
    stop: int
    is_bad: bool = False
    is_left: bool = False

    def halves(self, *, is_bad: bool) -> tuple[_Span, _Span]:
        """Return the right half and the left one; *is_bad*: one of their rows is known to be refused."""
        middle = (self.start + self.stop) // 2
        return _Span(middle, self.stop), _Span(self.start, middle, is_left=is_bad)
