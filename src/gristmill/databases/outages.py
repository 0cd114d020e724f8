"""What concerns a whole batch and may pass, as the outcome of each of its items; pure.

The texts are for callers: where the server is, and what it said, is in the log.
"""

from __future__ import annotations

from gristmill.errors import (
    CommitUnknown,
    DatabaseBusy,
    DatabaseConflict,
    DatabaseFailed,
    DatabaseUnavailable,
    PoolTimeout,
)
from gristmill.model.outcome import Failed

OUTAGES = (PoolTimeout, DatabaseUnavailable, DatabaseConflict, DatabaseBusy, CommitUnknown)
"""Errors that each item of the batch gets as its outcome; others are raised."""

_TEXTS: dict[type[DatabaseFailed], str] = {
    PoolTimeout: "no connection to the database came free in time",
    DatabaseUnavailable: "the database is not available",
    DatabaseConflict: "the batch met another transaction, each time it was tried",
    DatabaseBusy: "the database is locked by somebody else",
    CommitUnknown: "the connection broke at the commit: the row may be stored or not",
}


def failed_of(error: DatabaseFailed) -> Failed:
    """Return the outcome of an item for *error*, one of ``OUTAGES``."""
    return Failed(_TEXTS[type(error)], error.code, error.retryable)
