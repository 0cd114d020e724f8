"""``BulkWriter``: rows in, one outcome a row out, at the speed of the database's own bulk paths."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from gristmill.batching.context import BatchContext
from gristmill.databases.grouping import Grouper, one_row_a_key
from gristmill.databases.names import table_name
from gristmill.databases.operation import ROLLED_BACK, Kind, Operation, Stored, Work
from gristmill.databases.outages import OUTAGES, failed_of
from gristmill.databases.pool import backend_for
from gristmill.databases.rows import ResultBuilder
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError, WriterClosed
from gristmill.model.outcome import Failed
from gristmill.model.pool import PoolStats

R = TypeVar("R")

logger = logging.getLogger("gristmill.databases")


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

    * ``returning``: what to answer for a stored row: an object of a Struct,
      dataclass, TypedDict or pydantic model whose fields are columns, a dict of
      the columns named, or None for nothing (which is the fastest).
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
        self._name = table_name(table)
        self._only = None if columns is None else tuple(columns)
        self._groupers: dict[bool, Grouper] = {}
        self._tables: dict[bool, Table] = {}
        self._builders: dict[Any, ResultBuilder[Any]] = {}
        self._is_closed = False

    def __repr__(self) -> str:
        """Show where it writes."""
        return f"BulkWriter({self._backend.stats().name}, {str(self._name)!r})"

    @overload
    async def insert(
        self,
        rows: Iterable[Any],
        *,
        returning: type[R],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[R | Failed]: ...
    @overload
    async def insert(
        self,
        rows: Iterable[Any],
        *,
        returning: Sequence[str],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def insert(
        self,
        rows: Iterable[Any],
        *,
        returning: None = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Failed | None]: ...

    async def insert(
        self,
        rows: Iterable[Any],
        *,
        returning: Any = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
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
        return await self._write(Operation(kind="insert"), rows, returning, ctx, connection, atomic=atomic)

    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        update: Sequence[str] | None = None,
        returning: type[R],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[R | Failed]: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        update: Sequence[str] | None = None,
        returning: Sequence[str],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        update: Sequence[str] | None = None,
        returning: None = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Failed | None]: ...

    async def upsert(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        update: Sequence[str] | None = None,
        returning: Any = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Any]:
        """Store rows, over those with the same key.

        Of several rows of a batch with the same key the last one is written;
        all of them are answered with it.

        Args:
            rows: See ``insert``.
            key: Columns with a unique index, which tell which row; None: the primary key.
            update: Columns to set where the row is there already; None: all that the item has,
                but for the key; ``()``: none, the row that is there stays as it is.
            returning: See the class.
            ctx: See the class.
            connection: See the class.
            atomic: See the class.

        Returns:
            As ``insert``.

        Raises:
            ConfigurationError: As ``insert``.
            DatabaseFailed: As ``insert``.
        """
        operation = Operation(kind="upsert", key=_names(key) or (), update=_names(update))
        return await self._write(operation, rows, returning, ctx, connection, atomic=atomic, key=_names(key))

    @overload
    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: type[R],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[R | Failed]: ...
    @overload
    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: Sequence[str],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: None = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Failed | None]: ...

    async def update(
        self,
        rows: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: Any = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Any]:
        """Set the other columns of the rows that have the keys; ``not_found`` where there is none.

        Of several items with the same key the last one counts, for all of them. See ``upsert``.
        """
        operation = Operation(kind="update")
        return await self._write(operation, rows, returning, ctx, connection, atomic=atomic, key=_names(key))

    @overload
    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: type[R],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[R | Failed]: ...
    @overload
    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: Sequence[str],
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[dict[str, Any] | Failed]: ...
    @overload
    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: None = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Failed | None]: ...

    async def delete(
        self,
        keys: Iterable[Any],
        *,
        key: Sequence[str] | None = None,
        returning: Any = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Any]:
        """Delete rows by their keys: values, tuples for a key of several columns, or items with those fields.

        ``not_found`` where there is no such row. See ``upsert``.
        """
        operation = Operation(kind="delete")
        return await self._write(operation, keys, returning, ctx, connection, atomic=atomic, key=_names(key))

    def stats(self) -> PoolStats:
        """Return how its pool stands; for ``gristmill.telemetry.pools.register``."""
        return self._backend.stats()

    async def aclose(self) -> None:
        """Close the connections, unless they are of a ``Pool`` or the caller's own. Idempotent."""
        self._is_closed = True
        if self._is_own:
            await self._backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _write(
        self,
        operation: Operation,
        rows: Iterable[Any],
        returning: Any,
        ctx: BatchContext | None,
        connection: Any,
        *,
        atomic: bool,
        key: tuple[str, ...] | None = None,
    ) -> list[Any]:
        if self._is_closed:
            raise WriterClosed(f"{self!r} is closed")
        items = rows if isinstance(rows, list) else list(rows)
        builder = self._builder(returning)
        joined = connection if connection is not None or ctx is None else ctx.transaction
        if not items:
            return []
        try:
            table = await self._table(joined)
            operation = _completed(operation, table, key, builder)
            return await self._stored(table, operation, items, builder, joined, atomic=atomic)
        except OUTAGES as error:
            logger.warning("%r: a batch of %d rows failed: %s", self, len(items), error)
            return [failed_of(error)] * len(items)
        except ConfigurationError:
            self._tables.clear()  # it may have been altered
            self._groupers.clear()
            raise

    async def _stored(
        self,
        table: Table,
        operation: Operation,
        items: list[Any],
        builder: ResultBuilder[Any] | None,
        joined: Any,
        *,
        atomic: bool,
    ) -> list[Any]:
        groups, bad = self._grouper(table, is_joined=joined is not None).group(items, operation)
        replaced: dict[int, int] = {}
        if operation.kind != "insert":
            groups, replaced = one_row_a_key(groups, operation.key)
        if bad and atomic:
            return [bad.get(index, ROLLED_BACK) for index in range(len(items))]
        work = Work(table=table, operation=operation, groups=groups, atomic=atomic)
        parts = await self._backend.write(work, joined) if groups else []
        if len(groups) == 1 and groups[0].indices == range(len(items)):
            return _answers(parts[0], builder)
        outcomes: list[Any] = [bad.get(index) for index in range(len(items))]
        for group, part in zip(groups, parts, strict=True):
            for index, outcome in zip(group.indices, part, strict=True):
                outcomes[index] = outcome
        for index, winner in replaced.items():
            outcomes[index] = outcomes[winner]
        return _answers(outcomes, builder)

    async def _table(self, joined: Any) -> Table:
        is_joined = joined is not None
        table = self._tables.get(is_joined)
        if table is None:
            table = self._tables[is_joined] = await self._backend.table(self._name, joined)
        return table

    def _grouper(self, table: Table, *, is_joined: bool) -> Grouper:
        found = self._groupers.get(is_joined)
        if found is None:
            found = self._groupers[is_joined] = Grouper(table, self._only)
        return found

    def _builder(self, returning: Any) -> ResultBuilder[Any] | None:
        if returning is None:
            return None
        known = returning if isinstance(returning, type | str) else tuple(returning)
        builder = self._builders.get(known)
        if builder is None:
            builder = self._builders[known] = ResultBuilder(known)
        return builder


def _names(names: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(names, str):
        raise ConfigurationError(f"key and update take a sequence of columns: ({names!r},)")
    return None if names is None else tuple(names)


def _completed(
    operation: Operation, table: Table, key: tuple[str, ...] | None, builder: ResultBuilder[Any] | None
) -> Operation:
    kind: Kind = operation.kind
    returning: tuple[str, ...] = () if builder is None else builder.columns
    table.check(returning, "columns of returning")
    if operation.update is not None:
        table.check(operation.update, "columns of update")
    return Operation(
        kind=kind,
        key=() if kind == "insert" else table.key_or(key),
        update=operation.update,
        returning=returning,
    )


def _answers(stored: Sequence[Stored], builder: ResultBuilder[Any] | None) -> list[Any]:
    rows: list[Any] = stored if isinstance(stored, list) else list(stored)
    if builder is None:
        return rows
    if Failed not in set(map(type, stored)):
        return builder.build_all(rows)
    following = iter(builder.build_all([row for row in rows if not isinstance(row, Failed)]))
    return [row if isinstance(row, Failed) else next(following) for row in rows]
