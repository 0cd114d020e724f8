"""Which job may be to blame where batch after batch fails, so that others need not wait for it. Pure."""

from __future__ import annotations

from typing import TypeAlias

from gristmill.model.lease import Claim

Piece: TypeAlias = tuple[str, int]
"""A job, and the first place of one of its chunks: its name at each attempt."""


class Suspects:
    """Looks at the batches of one queue that failed in a row, and names the one job they are all of.

    A suspicion costs what failed one more attempt. So nothing is suspected that was at its last, or that has
    paid for a suspicion before.

    Args:
        attempts: That an item has in all.

    Attributes:
        suspect: The job that alone fails, if there is one to be looked into.
    """

    def __init__(self, attempts: int) -> None:
        self.suspect: str | None = None
        self._attempts = attempts
        self._jobs: set[str] = set()  # of the batches that failed in a row; two of them are enough
        self._accused: str | None = None  # the last one that somebody was told of
        self._last: set[Piece] = set()  # what failed last
        self._spent: set[Piece] = set()  # all that cost a suspect an attempt

    def __repr__(self) -> str:
        """Show whom it suspects."""
        return f"<Suspects: {self.suspect}>"

    def succeeded(self) -> None:
        """Note that a batch succeeded: nothing is wrong with anybody."""
        self._jobs.clear()
        self._spent.clear()
        self._accused = self.suspect = None

    def failed(self, claim: Claim) -> None:
        """Note a batch that failed."""
        if len(self._jobs) <= 1:
            self._jobs.update(chunk.job for chunk in claim.chunks)

    def opened(self, claim: Claim) -> None:
        """Note that the failure of *claim*, told by ``failed`` just now, opened the breaker."""
        self._last = {(chunk.job, chunk.places[0][0]) for chunk in claim.chunks}
        survives = all(chunk.attempt + 1 < self._attempts for chunk in claim.chunks)
        is_first = self._spent.isdisjoint(self._last)
        self.suspect = min(self._jobs) if survives and is_first and len(self._jobs) == 1 else None

    def spared(self, job: str) -> bool:
        """Note that the queue is tried on although *job* fails; return whether that is news to tell.

        What failed last has paid for it with an attempt, and is not suspected again.
        """
        self.suspect = None
        self._spent |= self._last
        is_news = job != self._accused
        self._accused = job
        return is_news
