"""Leases and what ends them: what a worker claims, and what it tells the store about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gristmill.model.chunk import Chunk, NewChunk, Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One worker's right to some chunks until a time on the store's clock.

    Attributes:
        lease: The fence: a settle under another id, or under this one after it died, changes nothing.
        queue: The handler's name.
        chunks: At least one. A chunk that crashed before comes alone.
        more: Whether more may be due than fitted: claim again at once. Never False where there is more.
    """

    lease: int
    queue: str
    chunks: tuple[Chunk, ...]
    more: bool = False

    @property
    def items(self) -> int:
        """Items in all chunks."""
        return sum(chunk.items for chunk in self.chunks)

    @property
    def is_suspect(self) -> bool:
        """Whether a worker died with these items before."""
        return any(chunk.crashes for chunk in self.chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing to claim now.

    Attributes:
        due_in: Seconds until something scheduled, or a limit, is due; None if nothing is known to come.
    """

    due_in: float | None = None


class ResultKind(StrEnum):
    """What a stored result says of its items."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


AGAIN = "again"
"""Stands in a store for the kind of what takes failures back: their items were let run again."""


def kind_from(text: str) -> ResultKind | None:
    """Return the kind of a result that a store kept as *text*."""
    return None if text == AGAIN else ResultKind(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """Final outcomes of items of one job; they alone move the job's counts.

    Attributes:
        job: The job.
        kind: Of all of them.
        places: Which items they are.
        items: How many.
        body: JSON array: the values of items that succeeded, ``Failure`` objects of those that failed,
            ``[]`` for cancelled ones. None counts the items and stores nothing.
    """

    job: str
    kind: ResultKind
    places: Runs
    items: int
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Final outcomes as a store hands them out.

    Attributes:
        number: Ascending in the order of settling: the cursor of readers.
        kind: None if the items were let run again: their failure counts no more.

    The others are those of ``NewResult``.
    """

    number: int
    kind: ResultKind | None
    places: Runs
    items: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """All that became of one claim, recorded in one transaction.

    Every item of the claim is in exactly one of *chunks* and *results*, but
    dead ones in both: their chunk keeps the input for a redrive.

    Attributes:
        lease: Whose items they are. All its chunks are replaced by *chunks*.
        chunks: Items that run again, and dead ones.
        results: Items that have their outcome.
    """

    lease: int
    chunks: tuple[NewChunk, ...] = ()
    results: tuple[NewResult, ...] = ()


class Settled(StrEnum):
    """What the store made of a settlement."""

    SETTLED = "settled"
    DUPLICATE = "duplicate"  # this lease was settled before: nothing changed, nothing is wrong
    STALE = "stale"  # the lease had died: nothing changed, and the items are somebody else's
