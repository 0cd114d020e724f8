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
    """Remembers how large the log is, and how large it was at the last try."""

    def __init__(self) -> None:
        self.pages = 0
        self._tried = 0

    def due(self, *, is_idle: bool) -> Checkpoint | None:
        """Return what to try now."""
        if self.pages < self._tried:  # it began anew
            self._tried = 0
        if self.pages - self._tried < STEP or self.pages < (QUIET if is_idle else BUSY):
            return None
        self._tried = self.pages
        return Checkpoint.TRUNCATE if self.pages >= LARGE else Checkpoint.PASSIVE
