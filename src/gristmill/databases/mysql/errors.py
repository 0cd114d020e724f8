"""What aiomysql raises, which are PyMySQL's errors, sorted by what has to be done; pure."""

from __future__ import annotations

import re

try:
    import pymysql.err
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "MySQL needs aiomysql: pip install 'gristmill[mysql]'", name="aiomysql"
    ) from missing

from gristmill.databases.faults import Interrupted, RowRefused
from gristmill.databases.slugs import refusal, slug_of_mysql
from gristmill.errors import ConfigurationError, DatabaseConflict, DatabaseFailed, DatabaseUnavailable

MySQLError = pymysql.err.MySQLError
EVERY = (MySQLError, OSError, TimeoutError, EOFError)

_CONFLICTS = frozenset({1205, 1213, 1020, 3101})
_AWAY = frozenset(
    {1040, 1053, 1077, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2055, 3024}
)
_NOT_LET_IN = frozenset({1044, 1045, 1049, 1130, 1698, 2054})
_STATEMENT = frozenset({1054, 1064, 1146, 1142, 1143, 1227, 1290})

_SIGNAL = "45000"
"""The SQLSTATE of a trigger's own SIGNAL, whatever number it gives."""

_COLUMN = re.compile(r"[Cc]olumn '([^']+)'|Field '([^']+)'")
_KEY = re.compile(r"for key '([^']+)'$")
_NAMED = re.compile(r"CONSTRAINT `([^`]+)`|Check constraint '([^']+)'")


def sorted_error(error: BaseException) -> Exception:
    """Return what to raise for *error*, one of ``EVERY``, ``from`` it.

    ``RowRefused``, ``Interrupted``, ``ConfigurationError`` or ``DatabaseFailed``.
    """
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1]) if len(error.args) > 1 else ""
    if not isinstance(error, MySQLError) or number in _AWAY or number == 0:
        away = DatabaseUnavailable("MySQL is away, or did not answer in time")
        return Interrupted(away, is_lost=True, was_answered=False)
    is_signal = getattr(error, "sqlstate", None) == _SIGNAL
    slug = slug_of_mysql(number) or ("constraint_violation" if is_signal else None)
    if slug is not None:
        column = _first(_COLUMN, text)
        constraint = _first(_KEY, text) or _first(_NAMED, text)
        return RowRefused(refusal(slug, column=column, constraint=constraint))
    if number in _CONFLICTS:
        met = DatabaseConflict("the transaction met another one, and was rolled back")
        return Interrupted(met, is_lost=False, was_answered=True)
    if number in _NOT_LET_IN:
        return ConfigurationError("MySQL does not let us in: check the user, the password and the database")
    if number in _STATEMENT:
        return ConfigurationError(f"MySQL refuses the statement (error {number})")
    return DatabaseFailed(f"MySQL refused with error {number}; nothing of this batch was stored")


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return next((each for each in found.groups() if each), None) if found else None
