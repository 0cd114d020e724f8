"""What a driver raised, sorted by what has to be done about it."""

from __future__ import annotations

from gristmill.errors import DatabaseFailed
from gristmill.model.outcome import Failed


class RowRefused(Exception):
    """One of the rows of a statement is at fault.

    Attributes:
        failed: Why; of the row, if the statement had only one.
        is_sent: Whether the database knows of it; if not, nothing has to be undone.
    """

    def __init__(self, failed: Failed, *, is_sent: bool = True) -> None:
        super().__init__(failed.code)
        self.failed = failed
        self.is_sent = is_sent


class Interrupted(Exception):
    """The transaction is gone, and no row is to blame.

    Attributes:
        error: What to tell if it is not tried again.
        is_lost: Whether the connection is gone, too.
        was_answered: Whether the database said so itself, or nothing was sent: then nothing is stored.
    """

    def __init__(self, error: DatabaseFailed, *, is_lost: bool, was_answered: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_lost = is_lost
        self.was_answered = was_answered
