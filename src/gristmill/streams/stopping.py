"""Being asked to stop: once to end well, twice to end now."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Stopping:
    """What a run looks at between its steps; a signal handler may set it.

    Attributes:
        asked: Read no further; let what is under way end, and commit it.
        insisted: Do not wait for what is under way.
        grace: Seconds that what is under way gets to end.
    """

    asked: bool = False
    insisted: bool = False
    grace: float = 20.0

    def ask(self) -> None:
        """Ask once more."""
        self.insisted = self.asked
        self.asked = True
