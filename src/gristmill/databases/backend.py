"""What writers and loaders ask of a database, whichever it is; and which module knows a given one."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from gristmill.databases.names import TableName
from gristmill.databases.operation import Stored, Work
from gristmill.databases.settings import PoolSettings
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError
from gristmill.model.pool import PoolStats


class Backend(Protocol):
    """A database and the connections to it.

    *joined* is the connection of a transaction that the caller has open: what
    is done is part of it. None: a connection of the pool, and a transaction
    of its own.
    """

    async def table(self, name: TableName, joined: Any) -> Table:
        """Look at a table.

        Raises:
            ConfigurationError: There is none, or *joined* is no connection of this kind of database.
        """

    async def write(self, work: Work, joined: Any) -> Sequence[Sequence[Stored]]:
        """Do *work* in one transaction, and return for each group what became of each row.

        Raises:
            DatabaseFailed: Nothing was stored.
            ConfigurationError: The statement cannot be.
        """

    async def select(
        self, table: Table, columns: Sequence[str], key: Sequence[str], keys: Sequence[Any], joined: Any
    ) -> list[tuple[Any, Sequence[Any]]]:
        """Look rows up by their keys, which are tuples where *key* has several columns.

        Returns:
            (key, values of *columns*) of each row found, in any order.

        Raises:
            RowRefused: A key is none that its column can have.
        """

    def stats(self) -> PoolStats:
        """Return how the connections stand."""

    async def aclose(self) -> None:
        """Close what was opened; connections and pools of the caller's own stay."""


def other_database(joined: Any, mine: str) -> ConfigurationError:
    """Return the error for a transaction *joined* that is not of the kind of database *mine*."""
    package = type(joined).__module__.partition(".")[0]
    return ConfigurationError(
        f"the batch's transaction is one of {package}, and this writer's database is {mine}: "
        "leave ctx out, or keep both in one database"
    )


def no_transaction() -> ConfigurationError:
    """Return the error for a connection to write in that has no transaction open."""
    return ConfigurationError(
        "the connection has no transaction open, so a refused row could not be undone: begin one, "
        "or leave connection out"
    )


_SCHEMES = {
    "postgresql": ("gristmill.databases.postgres.backend", "PostgresBackend", "postgres"),
    "postgres": ("gristmill.databases.postgres.backend", "PostgresBackend", "postgres"),
    "sqlite": ("gristmill.databases.sqlite_backend", "SqliteBackend", "sqlite"),
    "mysql": ("gristmill.databases.mysql.backend", "MysqlBackend", "mysql"),
    "mariadb": ("gristmill.databases.mysql.backend", "MysqlBackend", "mysql"),
}
_PACKAGES = {"asyncpg": "postgresql", "apsw": "sqlite", "aiomysql": "mysql"}


def backend_of(target: Any, settings: PoolSettings, name: str | None = None) -> Backend:
    """Return the backend of a URL, or of a pool or connection of the user's own.

    Raises:
        ConfigurationError: Nobody knows such a thing, or its driver is not installed.
    """
    if isinstance(target, str):
        scheme = target.partition("://")[0]
        known, label = _SCHEMES.get(scheme), name or scheme
    else:
        package = type(target).__module__.partition(".")[0]
        known, label = _SCHEMES.get(_PACKAGES.get(package, "")), name or package
    if known is None:
        what = target.partition("://")[0] if isinstance(target, str) else type(target).__name__
        raise ConfigurationError(
            "a database is postgresql://..., sqlite:///file.db or mysql://..., an asyncpg or aiomysql "
            f"pool, an apsw connection, or a Pool; not {what!r}"
        )
    module, kind, extra = known
    try:
        made: Any = getattr(importlib.import_module(module), kind)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"this database needs the package {error.name}: pip install 'gristmill[{extra}]'"
        ) from error
    backend: Backend = made(target, settings, label)
    return backend
