"""``BulkWriter``: rows in, one outcome a row out, at the speed of the database's own bulk paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, Unpack, overload

from gristmill.databases.names import table_name
from gristmill.databases.operation import Operation
from gristmill.databases.pool import backend_for
from gristmill.databases.storing import RowStore, WriteOptions
from gristmill.errors import ConfigurationError
from gristmill.model.outcome import Failed
from gristmill.model.pool import PoolStats

R = TypeVar("R")

Names: TypeAlias = "Sequence[str] | None"
"""Of columns; None: those that are meant where none are named."""


class BulkWriter:
    """Writes batches of rows to one table of PostgreSQL, SQLite, MySQL or MariaDB.

    ::

        writer = BulkWriter("postgresql://localhost/shop", "users")

        @batch(max_size=500)
        async def create_users(users: list[NewUser], ctx: BatchContext) -> list[User | Failed]:
            return await writer.insert(users, returning=User, ctx=ctx)

    Rows are msgspec Structs, dataclasses, pydantic models, TypedDicts or
    dicts; their fields are columns, and a field that a dict leaves out (or
    that is ``msgspec.UNSET``) gets the default of the table. A batch is one
    transaction: one statement, as long as no row is refused. If one is, the
    batch is halved until the refused rows stand alone, and the others are
    stored, in O(k log n) round trips for k bad rows of n.

    Every method takes:

    * ``returning``: what to answer for a stored row: the value of a column
      (``"id"``), a dict of the columns named (``("id", "created_at")``), an
      object of a Struct, dataclass, TypedDict or pydantic model whose fields
      are columns, or None for nothing (which is the fastest).
    * ``ctx``: the context of the batch. If it has a transaction
      (``QueueOptions(transactional=True)``), the rows are written in it, and
      commit with the outcomes of the batch: exactly once.
    * ``connection``: a connection with a transaction of your own, instead.
    * ``atomic``: store all rows or none; the others then fail with ``rolled_back``.

    The outcome of a refused row is ``Failed`` with the code
    ``unique_violation``, ``not_null_violation``, ``foreign_key_violation``,
    ``check_violation``, ``exclusion_violation``, ``constraint_violation`` (a
    trigger), ``string_too_long``, ``number_out_of_range``, ``type_mismatch``,
    ``too_big``, ``unknown_column`` (of a dict), ``missing_key``, ``not_found`` or
    ``ignored`` (by a trigger). All rows fail, retryable, with ``pool_timeout``,
    ``database_unavailable``, ``database_busy`` or ``database_conflict``: nothing
    was stored; or with ``commit_unknown``, not retryable, if the connection
    broke at the commit of an insert or a delete.

    Args:
        target: A URL, a ``Pool``, an ``asyncpg`` or ``aiomysql`` pool, or an
            ``apsw`` connection.
        table: Its name, such as ``users`` or ``sales.users``.
        columns: Fields of the rows to use; None: all of them.

    Raises:
        ConfigurationError: The target or the name is none.
    """

    def __init__(self, target: Any, table: str, *, columns: Sequence[str] | None = None) -> None:
        if isinstance(columns, str):
            raise ConfigurationError(f"columns takes a sequence of names: columns=({columns!r},)")
        self._backend, self._is_own = backend_for(target)
        name = table_name(table)
        self._shown = f"BulkWriter({self._backend.stats().name}, {str(name)!r})"
        only = None if columns is None else tuple(columns)
        self._rows = RowStore(self._backend, name, only, shown=self._shown)

    def __repr__(self) -> str:
        """Show where it writes."""
        return self._shown

    @overload
    async def insert(
        self, rows: Iterable[Any], *, returning: type[R], **options: Unpack[WriteOptions]
    ) -> list[R | Failed]: ...
    @overload
    async def insert(
        self, rows: Iterable[Any], *, returning: str, **options: Unpack[WriteOptions]
    ) -> list[Any]: ...
    @overload
    async def insert(
        self, rows: Iterable[Any], *, returning: Sequence[str], **options: Unpack[WriteOptions]
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def insert(
        self, rows: Iterable[Any], *, returning: None = None, **options: Unpack[WriteOptions]
    ) -> list[Failed | None]: ...

    async def insert(
        self, rows: Iterable[Any], *, returning: Any = None, **options: Unpack[WriteOptions]
    ) -> list[Any]:
        """Store new rows.

        Of two rows of a batch that exclude each other the first one is
        stored (among rows with the same columns), the other one is refused.

        Returns:
            One entry a row, in their order: what ``returning`` asks for, or ``Failed``.

        Raises:
            ConfigurationError: The table, a column, or the type of the rows
                does not fit. Nothing was stored.
            DatabaseFailed: A full disk and the like. Nothing was stored.
        """
        return await self._rows.write(Operation(kind="insert"), rows, returning, **options)

    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        update: Names = None,
        returning: type[R],
        **options: Unpack[WriteOptions],
    ) -> list[R | Failed]: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        update: Names = None,
        returning: str,
        **options: Unpack[WriteOptions],
    ) -> list[Any]: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        update: Names = None,
        returning: Sequence[str],
        **options: Unpack[WriteOptions],
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        update: Names = None,
        returning: None = None,
        **options: Unpack[WriteOptions],
    ) -> list[Failed | None]: ...

    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        update: Names = None,
        returning: Any = None,
        **options: Unpack[WriteOptions],
    ) -> list[Any]:
        """Store rows, over those with the same key.

        Of several rows of a batch with the same key one is made, with the last
        value of each column; all of them are answered with it.

        Args:
            rows: See ``insert``.
            key: Columns with a unique index, which tell which row; None: the primary key.
            update: Columns to set where the row is there already; None: all that the item has,
                but for the key; ``()``: none, the row that is there stays as it is.
            returning: See the class.
            options: See the class.

        Returns:
            As ``insert``.

        Raises:
            ConfigurationError: As ``insert``.
            DatabaseFailed: As ``insert``.
        """
        operation = Operation(kind="upsert", key=_names(key) or (), update=_names(update))
        return await self._rows.write(operation, rows, returning, key=_names(key), **options)

    @overload
    async def update(
        self, rows: Iterable[Any], *, key: Names = None, returning: type[R], **options: Unpack[WriteOptions]
    ) -> list[R | Failed]: ...
    @overload
    async def update(
        self, rows: Iterable[Any], *, key: Names = None, returning: str, **options: Unpack[WriteOptions]
    ) -> list[Any]: ...
    @overload
    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        returning: Sequence[str],
        **options: Unpack[WriteOptions],
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        returning: None = None,
        **options: Unpack[WriteOptions],
    ) -> list[Failed | None]: ...

    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Names = None,
        returning: Any = None,
        **options: Unpack[WriteOptions],
    ) -> list[Any]:
        """Set the other columns of the rows that have the keys; ``not_found`` where there is none.

        Of several items with the same key the last value of each column counts. See ``upsert``.
        """
        operation = Operation(kind="update")
        return await self._rows.write(operation, rows, returning, key=_names(key), **options)

    @overload
    async def delete(
        self, keys: Iterable[Any], *, key: Names = None, returning: type[R], **options: Unpack[WriteOptions]
    ) -> list[R | Failed]: ...
    @overload
    async def delete(
        self, keys: Iterable[Any], *, key: Names = None, returning: str, **options: Unpack[WriteOptions]
    ) -> list[Any]: ...
    @overload
    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Names = None,
        returning: Sequence[str],
        **options: Unpack[WriteOptions],
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Names = None,
        returning: None = None,
        **options: Unpack[WriteOptions],
    ) -> list[Failed | None]: ...

    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Names = None,
        returning: Any = None,
        **options: Unpack[WriteOptions],
    ) -> list[Any]:
        """Delete rows by their keys: values, tuples for a key of several columns, or items with those fields.

        ``not_found`` where there is no such row. See ``upsert``.
        """
        operation = Operation(kind="delete")
        return await self._rows.write(operation, keys, returning, key=_names(key), **options)

    def stats(self) -> PoolStats:
        """Return how its pool stands; for ``gristmill.telemetry.pools.register``."""
        return self._backend.stats()

    async def aclose(self) -> None:
        """Close the connections, unless they are of a ``Pool`` or the caller's own. Idempotent."""
        self._rows.is_closed = True
        if self._is_own:
            await self._backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _names(names: Names) -> tuple[str, ...] | None:
    if isinstance(names, str):
        raise ConfigurationError(f"key and update take a sequence of columns: ({names!r},)")
    return None if names is None else tuple(names)
