"""Being asked to stop: once to end well, twice to end now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class Interrupted(BaseException):  # not for those who catch errors of what they call
    """Raised by a signal handler, out of a read that may never end, or because somebody insisted."""


@dataclass(slots=True)
class Stopping:
    """What a run looks at between its steps; a signal handler may set it.

    Attributes:
        asked: Read no further; let what is under way end, and commit it.
        insisted: Do not wait for what is under way.
        grace: Seconds that what is under way gets to end.
        is_reading: An input is read, which may wait for ever; a signal handler may raise ``Interrupted`` now.
    """

    asked: bool = False
    insisted: bool = False
    grace: float = 20.0
    is_reading: bool = False

    def ask(self) -> None:
        """Ask once more."""
        self.insisted = self.asked
        self.asked = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let signals interrupt the block."""
        self.is_reading = True
        try:
            yield
        finally:
            self.is_reading = False
