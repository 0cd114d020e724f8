"""What asyncpg raises, sorted: a row is at fault, the transaction is, the connection, or the statement."""

from __future__ import annotations

import re
from collections.abc import Sequence

try:
    import asyncpg
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "PostgreSQL needs asyncpg: pip install 'gristmill[postgres]'", name="asyncpg"
    ) from missing
from asyncpg.exceptions import ClientConfigurationError

from gristmill.databases.faults import Interrupted, RowRefused
from gristmill.databases.slugs import refusal, slug_of_sqlstate
from gristmill.errors import (
    ConfigurationError,
    DatabaseConflict,
    DatabaseFailed,
    DatabaseUnavailable,
)

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)
"""After these nothing is known about the other end."""

_MET_ANOTHER = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,  # the table was altered; the driver has forgotten the statement now
)
_ENDED = (
    asyncpg.OperatorInterventionError,  # shut down, ended by an administrator, cancelled
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby by now: a new connection may find who is not
)
_NOT_LET_IN = (
    ClientConfigurationError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)

EVERY = (asyncpg.PostgresError, *LOST)


NOT_COPIED = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError)
"""What a value that cannot be encoded raises in a COPY, which has begun then."""


class NoCopy(Exception):
    """A type of the rows cannot go by COPY: the driver, or a codec of the pool's owner, writes it as text."""


_ARGUMENT = re.compile(r"query argument \$(\d+)")


def sorted_error(error: BaseException, columns: Sequence[str] = ()) -> Exception:
    """Return what to raise for *error*, one of ``EVERY``, ``from`` it.

    Args:
        error: What was raised.
        columns: Of the arguments, over and over, to name the one at fault.

    Returns:
        ``RowRefused``, ``Interrupted``, ``ConfigurationError`` or ``DatabaseFailed``.
    """
    if isinstance(error, asyncpg.DataError) and error.severity is None:  # the driver's own: nothing was sent
        found = _ARGUMENT.search(str(error))
        column = columns[(int(found[1]) - 1) % len(columns)] if found and columns else None
        return RowRefused(refusal(_slug_of_value(error.__cause__ or error), column=column), is_sent=False)
    if isinstance(error, _NOT_LET_IN):
        return ConfigurationError(
            f"PostgreSQL does not let us in: check the user, the password and the database ({error})"
        )
    if isinstance(error, asyncpg.PostgresError) and not isinstance(error, asyncpg.PostgresConnectionError):
        return _answered(error)
    text = "PostgreSQL did not answer in time" if isinstance(error, TimeoutError) else "PostgreSQL is away"
    # The driver refuses to send on a connection whose end it has heard of, but not seen yet.
    is_unsent = isinstance(error, asyncpg.InternalClientError) and "cannot switch to state" in str(error)
    return Interrupted(
        DatabaseUnavailable(f"{text} ({error})" if str(error) else text), is_lost=True, was_answered=is_unsent
    )


def is_no_copy(error: BaseException) -> bool:
    """Tell whether *error* says ``NoCopy``; the connection is as good as before then."""
    return isinstance(error, asyncpg.InternalClientError) and "no binary format encoder" in str(error)


def not_copied(error: Exception) -> RowRefused:
    """Return what to raise for *error*, one of ``NOT_COPIED``, ``from`` it."""
    return RowRefused(refusal(_slug_of_value(error)))


def _slug_of_value(error: BaseException) -> str:
    """Tell a number out of range, which the driver says in words, from a wrong type."""
    is_range = isinstance(error, OverflowError) or str(error).endswith("range")
    return "number_out_of_range" if is_range else "type_mismatch"


def _is_of_policy(error: asyncpg.PostgresError) -> bool:
    """Tell a row that a policy refuses from a table that may not be written, which has the same SQLSTATE."""
    return bool(error.sqlstate == "42501" and error.server_source_function == "ExecWithCheckOptions")


def _is_of_value(error: asyncpg.PostgresError) -> bool:
    """Tell a value that is no tsquery, jsonpath or regclass from a statement that is wrong somewhere."""
    is_somewhere = error.position or error.internal_position or error.internal_query
    return error.sqlstate in {"42601", "42602", "42704", "42P01"} and bool(error.context) and not is_somewhere


def _answered(error: asyncpg.PostgresError) -> Exception:
    slug = slug_of_sqlstate(error.sqlstate or "")
    if _is_of_policy(error):
        slug = "check_violation"
    elif _is_of_value(error):
        slug = "type_mismatch"
    if slug is not None:
        return RowRefused(refusal(slug, constraint=error.constraint_name, column=error.column_name))
    if isinstance(error, _MET_ANOTHER):
        met = DatabaseConflict("the transaction met another one, and was rolled back")
        return Interrupted(met, is_lost=False, was_answered=True)
    if isinstance(error, _ENDED) and not isinstance(error, asyncpg.DiskFullError):
        return Interrupted(
            DatabaseUnavailable(f"PostgreSQL ended the transaction ({error})"),
            is_lost=not isinstance(error, asyncpg.QueryCanceledError),
            was_answered=True,
        )
    if isinstance(error, asyncpg.SyntaxOrAccessError):
        return ConfigurationError(f"PostgreSQL refuses the statement: {error}")
    return DatabaseFailed(f"PostgreSQL refused: {type(error).__name__}; nothing of this batch was stored")
