"""The way of a batch into a table: its rows become columns, and what is stored becomes answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from gristmill.batching.context import BatchContext
from gristmill.databases.backend import Backend
from gristmill.databases.grouping import Grouper, one_row_a_key
from gristmill.databases.names import TableName
from gristmill.databases.operation import ROLLED_BACK, Operation, Stored, Work
from gristmill.databases.outages import OUTAGES, failed_of
from gristmill.databases.rows import ResultBuilder
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError, WriterClosed
from gristmill.model.outcome import Failed

logger = logging.getLogger("gristmill.databases")


class WriteOptions(TypedDict, total=False):
    """What every method of ``BulkWriter`` takes beside its rows; its docstring tells what each means."""

    ctx: BatchContext | None
    connection: Any
    atomic: bool


class RowStore:
    """Writes rows to one table of a database.

    Args:
        backend: The database.
        name: Of the table.
        only: Fields of the rows to use; None: all of them.
        shown: What writes, for people.
    """

    def __init__(
        self, backend: Backend, name: TableName, only: tuple[str, ...] | None, *, shown: str
    ) -> None:
        self.is_closed = False
        self._backend = backend
        self._name = name
        self._only = only
        self._shown = shown
        self._tables: dict[bool, _Described] = {}
        self._builders: dict[Any, ResultBuilder[Any]] = {}

    async def write(
        self,
        operation: Operation,
        rows: Iterable[Any],
        returning: Any,
        *,
        key: tuple[str, ...] | None = None,
        ctx: BatchContext | None = None,
        connection: Any = None,
        atomic: bool = False,
    ) -> list[Any]:
        """Do *operation*, whose key is *key* or the primary one; see ``BulkWriter``."""
        if self.is_closed:
            raise WriterClosed(f"{self._shown} is closed")
        items = rows if isinstance(rows, list) else list(rows)
        builder = self._builder(returning)
        joined = connection if connection is not None or ctx is None else ctx.transaction
        if not items:
            return []
        try:
            described = await self._described(joined)
            operation = _completed(operation, described.table, key, builder)
            return await self._stored(described, operation, items, builder, joined, atomic=atomic)
        except OUTAGES as error:
            logger.warning("%s: a batch of %d rows failed: %s", self._shown, len(items), error)
            return [failed_of(error)] * len(items)
        except ConfigurationError:
            self._tables.clear()  # it may have been altered
            raise

    async def _stored(
        self,
        described: _Described,
        operation: Operation,
        items: list[Any],
        builder: ResultBuilder[Any] | None,
        joined: Any,
        *,
        atomic: bool,
    ) -> list[Any]:
        groups, bad = described.grouper.group(items, operation)
        replaced: dict[int, int] = {}
        if operation.kind != "insert":
            groups, replaced = one_row_a_key(groups, operation.key)
        if bad and atomic:
            return [bad.get(index, ROLLED_BACK) for index in range(len(items))]
        work = Work(table=described.table, operation=operation, groups=groups, atomic=atomic)
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

    async def _described(self, joined: Any) -> _Described:
        """Return the table, which the transaction of a caller may see as another one does not."""
        is_joined = joined is not None
        found = self._tables.get(is_joined)
        if found is None:
            table = await self._backend.table(self._name, joined)
            found = self._tables[is_joined] = _Described(table, self._only)
        return found

    def _builder(self, returning: Any) -> ResultBuilder[Any] | None:
        if returning is None:
            return None
        known = returning if isinstance(returning, type | str) else tuple(returning)
        builder = self._builders.get(known)
        if builder is None:
            builder = self._builders[known] = ResultBuilder(known)
        return builder


class _Described:
    """A table, and what sorts rows for it."""

    def __init__(self, table: Table, only: tuple[str, ...] | None) -> None:
        self.table = table
        self.grouper = Grouper(table, only)


def _completed(
    operation: Operation, table: Table, key: tuple[str, ...] | None, builder: ResultBuilder[Any] | None
) -> Operation:
    returning: tuple[str, ...] = () if builder is None else builder.columns
    table.check(returning, "columns of returning")
    if operation.update is not None:
        table.check(operation.update, "columns of update")
    return Operation(
        kind=operation.kind,
        key=() if operation.kind == "insert" else table.key_or(key),
        update=operation.update,
        returning=returning,
    )


def _answers(stored: Sequence[Stored], builder: ResultBuilder[Any] | None) -> list[Any]:
    rows: list[Any] = stored if isinstance(stored, list) else list(stored)
    if builder is None:
        return rows
    if Failed not in map(type, stored):
        return builder.build_all(rows)
    following = iter(builder.build_all([row for row in rows if not isinstance(row, Failed)]))
    return [row if isinstance(row, Failed) else next(following) for row in rows]
