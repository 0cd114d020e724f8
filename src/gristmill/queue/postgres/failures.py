"""What PostgreSQL, its driver and the network raise, as errors of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from gristmill.errors import StoreError, StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
)
"""After these nothing is known about the other end: the connection is thrown away."""

_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

_KINDS: tuple[tuple[tuple[type[BaseException], ...], type[StoreError], str], ...] = (
    ((TimeoutError,), StoreUnavailable, "PostgreSQL did not answer in time"),
    ((OSError,), StoreUnavailable, "PostgreSQL cannot be reached"),
    (
        (asyncpg.exceptions.ClientConfigurationError,),
        StoreMisconfigured,
        "the URL does not tell how to reach PostgreSQL",
    ),
    ((asyncpg.DiskFullError,), StoreFull, "PostgreSQL's disk is full"),
    (
        (asyncpg.ReadOnlySQLTransactionError,),
        StoreReadOnly,
        "PostgreSQL takes no writes: a standby, or set so",
    ),
    (
        (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError),
        StoreMisconfigured,
        "PostgreSQL does not let us in: check the user, the password and the database of the URL",
    ),
    (
        (asyncpg.InsufficientPrivilegeError,),
        StoreMisconfigured,
        "the PostgreSQL user may not do that: it needs its schema, or CREATE on the database to make it",
    ),
    (
        (asyncpg.UndefinedTableError, asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError),
        StoreMisconfigured,
        "the queue's tables are not there, or not whole: open() makes them",
    ),
    (
        (
            asyncpg.PostgresConnectionError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            asyncpg.OperatorInterventionError,  # shut down, restarting, cancelled
            asyncpg.InsufficientResourcesError,
            asyncpg.TransactionRollbackError,
            asyncpg.LockNotAvailableError,
            asyncpg.ProtocolViolationError,
            asyncpg.IdleInTransactionSessionTimeoutError,
            asyncpg.InternalServerError,
            asyncpg.PostgresIOError,
        ),
        StoreUnavailable,
        "PostgreSQL is not available",
    ),
)


def may_repeat(error: StoreError) -> bool:
    """Tell whether the same transaction may succeed at once: it met another one."""
    return isinstance(error.__cause__, _AGAIN)


def is_duplicate(error: StoreError) -> bool:
    """Tell whether a row of the same name exists."""
    return isinstance(error.__cause__, asyncpg.UniqueViolationError)


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the driver raises inside as a ``StoreError``, chained."""
    try:
        yield
    except (asyncpg.PostgresError, *LOST) as error:
        raise _store_error(error) from error


def _store_error(error: BaseException) -> StoreError:
    for causes, kind, text in _KINDS:
        if isinstance(error, causes):
            return kind(f"{text} ({error})" if str(error) else text)
    return StoreError(f"PostgreSQL refused: {error}")
