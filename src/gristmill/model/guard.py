"""The size limit that holds where the cost model is wrong: cliffs, late batches, a changed handler."""

from __future__ import annotations

_LATE = 0.9  # of a batch that missed the target latency
_BACK = 0.7  # of a batch that overran, where no size near below is proven
_NEAR = 0.6  # a proven size is worth going back to from here up
_STEP = 0.02  # growth after a full batch in time ...
_QUICK_STEP = 0.1  # ... and while still far below the size that failed
_FAR = 0.8
_PATIENCE = 8  # full batches before a size that overran is tried again; doubles each time it was no use
_MOST_PATIENCE = 800
_CHANGED = 4  # overruns in a row: a handler that changed, not a size that is too large


class Guard:
    """Multiplicative decrease and slow growth of one size limit.

    A size that overran is approached again ever more rarely, so a cliff in the
    cost of the handler is found and then left alone; one slow batch of a size
    that is known to work changes nothing.

    Attributes:
        limit: The largest size that may be tried.
    """

    __slots__ = ("_broke", "_held", "_max_size", "_patience", "_proven", "_strikes", "limit")

    def __init__(self, max_size: int) -> None:
        self._max_size = self.limit = float(max_size)
        self._proven = 0  # the largest full batch in time, near the limit
        self._broke = 0  # the size that made the limit fall
        self._held = 0  # full batches until the limit may grow
        self._patience = _PATIENCE
        self._strikes = 0  # overruns in a row

    def overran(self, size: int, *, failed: bool) -> bool:
        """Take in a batch of *size* that took longer than noise explains.

        Returns:
            Whether the handler itself seems to have become slower: everything
            overruns, whatever the size. The limit is then lifted, since the
            costs are about to be learnt anew.
        """
        self._strikes += 1
        if self._strikes >= _CHANGED and not failed:
            self._lift()
            return True
        if self._strikes > 1 or size > self._proven:
            self._retreat(size)
        return False

    def missed(self, size: int) -> None:
        """Take in a batch of *size* that took longer than the target, as noise may."""
        self._strikes = 0
        self.limit = min(self.limit, _LATE * size)

    def passed(self, size: int) -> None:
        """Take in a full batch of *size* that was in time."""
        self._strikes = 0
        self._proven = max(self._proven, size)
        if size >= self._broke:
            self._broke = 0
            self._patience = _PATIENCE
        if size < _FAR * int(self.limit):  # tells nothing about the limit
            return
        if self._held:
            self._held -= 1
            return
        step = _QUICK_STEP if self.limit < _FAR * self._broke else _STEP
        self.limit = min(self._max_size, self.limit + max(1.0, step * self.limit))

    def _retreat(self, size: int) -> None:
        near = _NEAR * size <= self._proven < size
        self.limit = min(self.limit, float(self._proven) if near else _BACK * size)
        self._proven = self._proven if near else 0
        if not self._held:  # a first step back; the next ones are the same fall
            self._broke = size
            self._held = self._patience
            self._patience = min(2 * self._patience, _MOST_PATIENCE)

    def _lift(self) -> None:
        self.limit = self._max_size
        self._proven = self._broke = self._held = self._strikes = 0
        self._patience = _PATIENCE
