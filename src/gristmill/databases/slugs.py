"""Why a row is refused: the same slugs whatever the database, and texts that show no value; pure.

Error texts of databases quote rows, of other users too (``Key (email)=(...)
already exists``). What is said here names constraints, columns and types only.
"""

from __future__ import annotations

from gristmill.model.outcome import Failed

SLUGS = {
    "unique_violation": "another row has the same value in a unique column",
    "not_null_violation": "a column must not be null",
    "foreign_key_violation": "a row it refers to does not exist, or a row refers to it",
    "check_violation": "a check of the table does not hold",
    "exclusion_violation": "it overlaps with another row",
    "constraint_violation": "a rule of the table, such as a trigger, refuses the row",
    "string_too_long": "a text is longer than its column",
    "number_out_of_range": "a number is larger or smaller than its column can hold",
    "type_mismatch": "a value is not of its column's type",
    "too_big": "a value, or the whole row, is too big for the database",
}
"""slug -> what is said where nothing better is known."""


def refusal(slug: str, *, constraint: str | None = None, column: str | None = None) -> Failed:
    """Return the outcome of a row, with the names that the database gave.

    Args:
        slug: One of ``SLUGS``.
        constraint: That was violated.
        column: That is at fault.
    """
    if column is not None:
        text = _OF_COLUMN.get(slug, "{} is at fault: " + SLUGS[slug]).format(column)
    else:
        text = SLUGS[slug]
    return Failed(text if constraint is None else f"{text} ({constraint})", slug)


_OF_COLUMN = {
    "unique_violation": "{} already exists",
    "not_null_violation": "{} must not be null",
    "string_too_long": "{} is too long",
    "number_out_of_range": "{} is out of range",
    "type_mismatch": "{} has a value of the wrong type",
}

_CLASS_22 = {
    "22001": "string_too_long",
    "22003": "number_out_of_range",
    "22008": "number_out_of_range",  # a date or time that is out of range
    "22015": "number_out_of_range",
}
_STATES = {
    "21000": "constraint_violation",  # a row twice in one statement, by keys that only Python tells apart
    "23001": "foreign_key_violation",
    "23502": "not_null_violation",
    "23503": "foreign_key_violation",
    "23505": "unique_violation",
    "23514": "check_violation",
    "23P01": "exclusion_violation",
    "428C9": "constraint_violation",  # a generated column was given a value
    "42804": "type_mismatch",
    "44000": "check_violation",  # WITH CHECK OPTION of a view
    "54000": "too_big",  # an index row larger than a page
}
_CLASSES = {
    "22": "type_mismatch",
    "23": "constraint_violation",
    "P0": "constraint_violation",  # RAISE in a trigger
}
_OF_POSTGRES = (
    "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 "
    "53 54 55 57 58 72 F0 HV P0 XX"
)
"""The classes of PostgreSQL's own SQLSTATEs, of two letters each (its manual, appendix A)."""


def slug_of_sqlstate(state: str) -> str | None:
    """Return the slug of an SQLSTATE; None if no row is at fault."""
    found = _STATES.get(state) or _CLASS_22.get(state)
    if found is not None:
        return found
    if state and state[:2] not in _OF_POSTGRES:  # RAISE ... USING ERRCODE, with a code of somebody's own
        return "constraint_violation"
    return _CLASSES.get(state[:2])


_MYSQL = {
    1022: "unique_violation",
    1062: "unique_violation",
    1586: "unique_violation",
    1048: "not_null_violation",
    1263: "not_null_violation",
    1364: "not_null_violation",  # no value and no default
    1216: "foreign_key_violation",
    1217: "foreign_key_violation",
    1451: "foreign_key_violation",
    1452: "foreign_key_violation",
    3819: "check_violation",
    4025: "check_violation",  # MariaDB
    1369: "check_violation",
    1406: "string_too_long",
    1264: "number_out_of_range",
    1690: "number_out_of_range",
    1265: "type_mismatch",
    1300: "type_mismatch",  # bytes that are no text
    1411: "type_mismatch",
    1416: "type_mismatch",  # no geometry
    1441: "number_out_of_range",  # a date or time
    1292: "type_mismatch",
    1366: "type_mismatch",
    1367: "type_mismatch",
    3140: "type_mismatch",  # JSON
    3988: "type_mismatch",  # as 1300
    4078: "type_mismatch",
    1118: "too_big",
    1139: "too_big",
    1644: "constraint_violation",  # SIGNAL in a trigger
}
_SQLITE = {
    18: "too_big",
    20: "type_mismatch",  # a key that is no integer
    275: "check_violation",
    787: "foreign_key_violation",
    1299: "not_null_violation",
    1555: "unique_violation",  # of the primary key
    2067: "unique_violation",
    2579: "unique_violation",  # of the rowid
    3091: "type_mismatch",  # a column of a STRICT table
}
_SQLITE_CONSTRAINT = 19
_SQLITE_PRIMARY = 0xFF


def slug_of_mysql(number: int) -> str | None:
    """Return the slug of an error number of MySQL or MariaDB; None if no row is at fault."""
    return _MYSQL.get(number)


def slug_of_sqlite(code: int) -> str | None:
    """Return the slug of an extended result code of SQLite; None if no row is at fault."""
    found = _SQLITE.get(code)
    if found is not None:
        return found
    return "constraint_violation" if code & _SQLITE_PRIMARY == _SQLITE_CONSTRAINT else None
