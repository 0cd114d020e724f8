"""What pymongo says of a bulk of documents, as the outcome of each; pure.

MongoDB's own texts quote the values of a duplicate key; ours name the fields only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

try:
    import bson.errors
    import pymongo.errors
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "MongoDB needs pymongo: pip install 'gristmill[mongo]'", name="pymongo"
    ) from missing

from gristmill.databases.slugs import refusal
from gristmill.errors import (
    CommitUnknown,
    ConfigurationError,
    DatabaseFailed,
    DatabaseUnavailable,
    PoolTimeout,
)
from gristmill.model.outcome import Failed

_SLUGS = {
    11000: "unique_violation",
    11001: "unique_violation",
    12582: "unique_violation",
    121: "check_violation",  # the collection's validator
    2: "type_mismatch",
    14: "type_mismatch",
    16755: "type_mismatch",  # no GeoJSON
    10334: "too_big",
    17280: "too_big",  # an index key
}
_RETRYABLE = frozenset({6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 112, 50})
"""Not primary, shutting down, a write conflict, out of time: the same document may succeed later."""

NOT_WRITABLE = (bson.errors.BSONError, OverflowError, TypeError, ValueError, RecursionError)
"""What a document raises that cannot be written as BSON."""

LARGEST = 16 << 20
"""Bytes of a document that MongoDB takes."""


def failures_of(details: Mapping[str, Any], count: int) -> dict[int, Failed]:
    """Return index -> why, of the documents that were not written.

    Args:
        details: Of a ``BulkWriteError`` of ``insert_many(ordered=False)``.
        count: Documents in the bulk.
    """
    failures = {
        int(error["index"]): _failure(error)
        for error in details.get("writeErrors", ())
        if 0 <= int(error["index"]) < count
    }
    concerns: Sequence[Mapping[str, Any]] = details.get("writeConcernErrors", ())
    if concerns:  # the others are written, but not on as many members as was asked for
        unsure = Failed("written, but not confirmed by as many members as was asked for", "commit_unknown")
        failures = {index: failures.get(index, unsure) for index in range(count)}
    return failures


def _failure(error: Mapping[str, Any]) -> Failed:
    code = int(error.get("code", 0))
    slug = _SLUGS.get(code)
    if slug is None:
        text = f"MongoDB refuses the document (code {code})"
        return Failed(text, "database_failed", retryable=code in _RETRYABLE)
    pattern = error.get("keyPattern") or {}
    return refusal(slug, column=", ".join(map(str, pattern)) or None)


def unwritable(error: Exception) -> Failed:
    """Return the outcome of a document for *error*, one of ``NOT_WRITABLE``."""
    return refusal("number_out_of_range" if isinstance(error, OverflowError) else "type_mismatch")


def batch_error(error: pymongo.errors.PyMongoError) -> Exception:
    """Return what to raise ``from`` *error*, which concerns the whole bulk."""
    if isinstance(error, pymongo.errors.WaitQueueTimeoutError):
        return PoolTimeout("no connection to MongoDB came free in time")
    if isinstance(error, pymongo.errors.ServerSelectionTimeoutError):
        return DatabaseUnavailable("MongoDB cannot be reached")
    if isinstance(error, pymongo.errors.ConnectionFailure):
        return CommitUnknown("the connection to MongoDB broke while documents were written")
    if isinstance(error, pymongo.errors.ConfigurationError | pymongo.errors.InvalidName):
        return ConfigurationError(f"MongoDB cannot be used so: {error}")
    return DatabaseFailed(f"MongoDB refused: {type(error).__name__}")
