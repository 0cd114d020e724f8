"""When the write-ahead log is copied into the database file: arithmetic on pages."""

from __future__ import annotations

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

    @property
    def unsaved(self) -> int:
        """Pages that are in the log only."""
        return self._pages - self._copied

    def grew(self, pages: int) -> None:
        """Note that the log has *pages*."""
        if pages < self._pages:  # all was copied, and it began anew
            self._tried = self._copied = 0
        self._pages = pages

    def copied(self, pages: int) -> None:
        """Note that *pages* of the log are in the file."""
        self._copied = min(pages, self._pages)

    def due(self, *, is_idle: bool) -> Checkpoint | None:
        """Return what to try now."""
        if self.is_full:
            self.is_full = False
            return Checkpoint.TRUNCATE
        if self._pages - self._tried < STEP or self._pages < (QUIET if is_idle else BUSY):
            return None
        self._tried = self._pages
        return Checkpoint.TRUNCATE if self._pages >= LARGE else Checkpoint.PASSIVE
