"""How much new work fits on the disk: arithmetic on bytes."""

from __future__ import annotations

from dataclasses import dataclass

RESERVED = 8 << 20
"""Bytes of the disk that new work may not use: settling old work makes the log grow a little."""

TIGHT = 64 << 20
"""Bytes that the disk has when it is nearly full."""


@dataclass(slots=True, kw_only=True)
class Room:
    """What is left for one transaction.

    Attributes:
        free: Bytes that the disk has.
        unsaved: Bytes of the log that the file may grow by when they are copied.
        spare: Bytes of the file that hold nothing.
    """

    free: int
    unsaved: int
    spare: int

    def take(self, size: int) -> bool:
        """Take *size* bytes, and tell whether there were so many.

        They go to the log, and again to the file when the log is copied, unless it has pages to spare.
        """
        growth = max(0, size - self.spare)
        if self.free - self.unsaved - RESERVED <= size + growth:
            return False
        self.free -= size + growth
        self.spare -= size - growth
        return True
