"""What SQLite refuses: one row, as the outcome of its item, or a whole batch, as an exception."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any

try:
    import apsw
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("SQLite needs apsw: pip install 'gristmill[sqlite]'", name="apsw") from missing

from gristmill.databases.rows import as_scalar
from gristmill.databases.slugs import refusal, slug_of_sqlite
from gristmill.errors import DatabaseBusy, DatabaseFailed
from gristmill.model.outcome import Failed

ROW_ERRORS = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    TypeError,
    OverflowError,
    UnicodeError,
)
"""What a single INSERT raises when its row is at fault; anything else concerns the whole batch."""

DANGLING = Failed("a row it refers to does not exist", "foreign_key_violation")

_OF_STATEMENT = re.compile(
    "^no such (table|column)|has no column named|^ON CONFLICT clause|^cannot (INSERT|UPDATE)"
)

_INTEGER_LIMIT = 2**63
_STORED_TYPES = (type(None), int, float, str, bytes, bytearray, memoryview)

_BATCH_TEXTS: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full",
    apsw.ReadOnlyError: "the database is read-only: check the permissions of its file and folder",
    apsw.PermissionsError: "access to the database file was denied",
    apsw.CantOpenError: "the database file cannot be opened: its folder must exist and be writable",
    apsw.NotADBError: "the file is no SQLite database",
    apsw.CorruptError: "the database file is corrupt: restore it from a backup",
    apsw.IOError: "the disk failed while reading or writing",
    apsw.NoMemError: "out of memory",
}


def row_failure(error: Exception, *, table: str, columns: Sequence[str], values: Sequence[Any]) -> Failed:
    """Return the outcome of a row that SQLite refused; its text names columns, never values.

    Args:
        error: One of ``ROW_ERRORS``, raised by the INSERT.
        table: Its table.
        columns: Of the INSERT.
        values: What was bound, in the order of *columns*.
    """
    if isinstance(error, apsw.ConstraintError):
        return _constraint_failure(error, table)
    if isinstance(error, apsw.TooBigError):
        return refusal("too_big")
    if isinstance(error, apsw.MismatchError):
        return Failed("the key must be an integer", "type_mismatch")
    return _binding_failure(columns, values)


def batch_error(error: apsw.Error) -> DatabaseFailed:
    """Return the exception for a whole batch that failed; raise it ``from`` *error*."""
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return DatabaseBusy(
            "the database stayed locked for all of busy_timeout; nothing of this batch was stored"
        )
    text = _BATCH_TEXTS.get(type(error), str(error))
    return DatabaseFailed(f"{text}; nothing of this batch was stored")


def is_of_statement(error: apsw.Error) -> bool:
    """Tell whether a statement does not fit its table: it was altered, or no unique index has the key."""
    return isinstance(error, apsw.SQLError) and _OF_STATEMENT.search(str(error)) is not None


def _constraint_failure(error: apsw.ConstraintError, table: str) -> Failed:
    detail = str(error).partition(" constraint failed: ")[2]
    names = [_without_table(name, table) for name in detail.split(", ")]
    slug = slug_of_sqlite(error.extendedresult)  # type: ignore[attr-defined]  # apsw's stubs leave it out
    match slug:
        case "unique_violation":
            return Failed(f"{_together(names)} already exists", slug)
        case "not_null_violation":
            return refusal(slug, column=names[0])
        case "check_violation":
            return Failed(f"the check {detail} does not hold", slug)
        case "foreign_key_violation":
            return DANGLING
        case "type_mismatch":
            return refusal(slug, column=_without_table(str(error).rpartition(" column ")[2], table))
        case _:  # a trigger's own text may quote whatever rows it read
            return refusal("constraint_violation")


def _without_table(name: str, table: str) -> str:
    return name[len(table) + 1 :] if name.casefold().startswith(f"{table}.".casefold()) else name


def _together(names: list[str]) -> str:
    if len(names) > 1:
        return f"this combination of {', '.join(names[:-1])} and {names[-1]}"
    if names[0].startswith("index "):  # of an expression, or partial: SQLite names no columns
        return f"such a row, by the {names[0]},"
    return names[0]


def _binding_failure(columns: Sequence[str], values: Sequence[Any]) -> Failed:
    for column, value in zip(cycle(columns), values):  # of several rows, over and over
        if isinstance(value, int) and not -_INTEGER_LIMIT <= value < _INTEGER_LIMIT:
            return Failed(f"{column} does not fit in 64 bits", "number_out_of_range")
        if isinstance(value, str) and not _is_encodable(value):
            return Failed(f"{column} is no valid Unicode text", "type_mismatch")
        if not isinstance(value, _STORED_TYPES):
            try:
                as_scalar(value)
            except TypeError as error:
                return Failed(f"{column}: {error}", "type_mismatch")
    return Failed("a value cannot be stored", "type_mismatch")


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
