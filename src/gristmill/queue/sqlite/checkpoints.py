"""When the write-ahead log is copied into the database file: arithmetic on pages."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

QUIET = 1 << 10
"""Pages (of 4 KiB) of the log from which on it is copied while nothing else is to do."""

BUSY = 1 << 12
"""Pages from which on it is copied even so: what is read then has to look through all of it."""

LARGE = 1 << 14
"""Pages from which on readers are waited for, and the log is cut off."""

STEP = 1 << 8
"""Pages by which it grows before the next try, while a reader keeps it from being reused."""


class Checkpoint(Enum):
    """How the log is copied."""

    PASSIVE = auto()
    TRUNCATE = auto()


class Checkpoints:
    """Remembers how large the log is, and how much of it has been copied.

    Attributes:
        is_full: Whether something found no room on the disk, which the log may give back.
    """

    def __init__(self) -> None:
        self.is_full = False
        self._pages = 0
        self._copied = 0
        self._tried = 0  # how large it was at the last try
        self._largest = 0  # since it was cut off; its file stays so large

    @property
    def pages(self) -> int:
        """Pages of the log."""
        return self._pages

    @property
    def unsaved(self) -> int:
        """Pages that are in the log only."""
        return self._pages - self._copied

    @property
    def holds_room(self) -> bool:
        """Whether cutting the log off would give a good deal of the disk back."""
        return self._largest >= STEP

    def grew(self, pages: int) -> None:
        """Note that the log has *pages*."""
        if pages < self._pages:  # all was copied, and it began anew
            self._tried = self._copied = 0
        self._pages = pages
        self._largest = max(self._largest, pages)

    def was_cut(self) -> None:
        """Note that all of the log is in the file, and its own is empty."""
        self._pages = self._copied = self._tried = self._largest = 0

    def copied(self, pages: int) -> None:
        """Note that *pages* of the log are in the file."""
        self._copied = min(pages, self._pages)

    def due(self, *, is_idle: bool, is_tight: Callable[[], bool]) -> Checkpoint | None:
        """Return what to try now; on a disk that *is_tight*, the log is to stay small."""
        if self.is_full:
            self.is_full = False
            return Checkpoint.TRUNCATE
        if self._pages - self._tried < STEP:
            return None
        is_cut = self._pages >= LARGE or is_tight()
        if self._pages < (QUIET if is_idle else BUSY) and not is_cut:
            return None
        self._tried = self._pages
        return Checkpoint.TRUNCATE if is_cut else Checkpoint.PASSIVE
