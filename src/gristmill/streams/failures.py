"""How many rows may fail before a run stops."""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.errors import ConfigurationError, TooManyFailures
from gristmill.streams.chunk import Counts

_WARM_UP = 1000
"""Rows before a share is judged."""


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """A number of rows, or a share of those read; None of both: all may fail.

    Attributes:
        rows: How many may fail.
        share: How many of those read, between 0 and 1; judged after the first thousand, and at the end.
    """

    rows: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str | float | None) -> FailureLimit:
        """Return the limit that *text* says: ``100`` or ``1%``.

        Raises:
            ConfigurationError: It says none.
        """
        if text is None:
            return cls()
        shown = str(text).strip()
        try:
            if shown.endswith("%"):
                share = float(shown[:-1]) / 100
                if 0 <= share <= 1:
                    return cls(share=share)
            elif int(shown) >= 0:
                return cls(rows=int(shown))
        except ValueError:
            pass
        raise ConfigurationError(
            f"max_failures is a number of rows, as 100, or a share of them, as 1%; not {text!r}"
        )

    def check(self, counts: Counts, *, is_end: bool = False) -> None:
        """Raise ``TooManyFailures`` if *counts* are beyond the limit."""
        if self.rows is not None and counts.failed > self.rows:
            raise TooManyFailures(f"{counts.failed:,} rows failed, and {self.rows:,} may")
        if (
            self.share is not None
            and (is_end or counts.read >= _WARM_UP)
            and counts.failed > self.share * counts.read
        ):
            raise TooManyFailures(
                f"{counts.failed:,} of {counts.read:,} rows failed, and {self.share:.4g} of them may"
            )
