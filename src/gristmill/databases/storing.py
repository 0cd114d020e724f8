"""The way of a batch into a table: its rows become columns, and what is stored becomes answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from gristmill.batching.context import BatchContext
from gristmill.databases.backend import Backend
from gristmill.databases.fitting import check_fits
from gristmill.databases.grouping import Grouper, one_row_a_key
from gristmill.databases.names import TableName
from gristmill.databases.operation import ROLLED_BACK, Operation, Stored, Work
from gristmill.databases.outages import OUTAGES, failed_of
from gristmill.databases.rows import ResultBuilder
from gristmill.databases.table import Table
from gristmill.errors import ConfigurationError, WriterClosed
from gristmill.model.outcome import Failed

logger = logging.getLogger("gristmill.databases")

_LOOK_AGAIN = 1.0
"""Seconds for which a table is taken to be as it was; who sends wrong columns makes nobody ask more often."""

_MAX_KNOWN = 256


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
        ask = _Ask(operation, key, builder, joined, atomic=atomic)
        try:
            stored, has_failed = await self._stored_at_last(ask, items)
            return _answers(stored, builder, has_failed=has_failed)
        except OUTAGES as error:
            logger.warning("%s: a batch of %d rows failed: %s", self._shown, len(items), error)
            return [failed_of(error)] * len(items)
        except ConfigurationError:
            self._tables.clear()  # it may have been altered
            raise

    async def _stored_at_last(self, ask: _Ask, items: list[Any]) -> tuple[Sequence[Stored], bool]:
        """Store *items*, and tell whether some of them failed.

        What looks as if the table had been altered is tried again if it has been.
        """
        described = await self._described(ask.joined)
        try:
            stored = await self._stored(described, ask, items)
        except ConfigurationError:
            if ask.joined is not None:  # whose transaction may be void by now
                raise
            fresh = await self._altered(described, ask.joined)
            if fresh is None:
                raise
            stored = await self._stored(fresh, ask, items)
            return stored, _has_failed(stored)
        if not _has_failed(stored):
            return stored, False
        doubtful = [index for index, each in enumerate(stored) if _is_doubtful(each)]
        fresh = await self._altered(described, ask.joined) if doubtful else None
        if fresh is None:
            return stored, True
        if ask.atomic:
            return await self._stored(fresh, ask, items), True
        outcomes = list(stored)
        again = await self._stored(fresh, ask, [items[index] for index in doubtful])
        for index, each in zip(doubtful, again, strict=True):
            outcomes[index] = each
        return outcomes, True

    async def _stored(self, described: _Described, ask: _Ask, items: list[Any]) -> Sequence[Stored]:
        operation = described.completed(ask)
        groups, bad = described.grouper.group(items, operation)
        replaced: dict[int, int] = {}
        if operation.kind != "insert":
            groups, replaced = one_row_a_key(groups, operation.key)
        if bad and ask.atomic:
            return [bad.get(index, ROLLED_BACK) for index in range(len(items))]
        work = Work(table=described.table, operation=operation, groups=groups, atomic=ask.atomic)
        parts = await self._backend.write(work, ask.joined) if groups else []
        if len(groups) == 1 and groups[0].indices == range(len(items)):
            return parts[0]
        outcomes: list[Stored] = [bad.get(index) for index in range(len(items))]
        for group, part in zip(groups, parts, strict=True):
            for index, outcome in zip(group.indices, part, strict=True):
                outcomes[index] = outcome
        for index, winner in replaced.items():
            outcomes[index] = outcomes[winner]
        return outcomes

    async def _altered(self, known: _Described, joined: Any) -> _Described | None:
        """Return the table as it is now, if it is not as it was *known*; asked once in a while only."""
        if time.monotonic() - known.at < _LOOK_AGAIN:
            return None
        table = await self._backend.table(self._name, joined)
        if table == known.table:
            known.at = time.monotonic()
            return None
        fresh = self._tables[joined is not None] = _Described(table, self._only)
        return fresh

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
    """A table, when it was looked at, and what sorts rows for it."""

    def __init__(self, table: Table, only: tuple[str, ...] | None) -> None:
        self.table = table
        self.at = time.monotonic()
        self.grouper = Grouper(table, only)
        self._completed: dict[Any, Operation] = {}

    def completed(self, ask: _Ask) -> Operation:
        """Return what is asked for, checked once; see ``_Ask.completed``."""
        what = (ask.operation, ask.key, ask.builder)
        found = self._completed.get(what)
        if found is None:
            if len(self._completed) >= _MAX_KNOWN:
                self._completed.clear()
            found = self._completed[what] = ask.completed(self.table)
        return found


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked for, whatever the table is like."""

    operation: Operation
    key: tuple[str, ...] | None
    builder: ResultBuilder[Any] | None
    joined: Any
    atomic: bool = field(kw_only=True)

    def completed(self, table: Table) -> Operation:
        """Return the operation on *table*.

        Raises:
            ConfigurationError: A column is none of it, or no row of it can be what is to be returned.
        """
        returning = () if self.builder is None else self.builder.columns
        table.check(returning, "columns of returning")
        if self.builder is not None and self.builder.kind is not None:
            check_fits(self.builder.kind, table)
        if self.operation.update is not None:
            table.check(self.operation.update, "columns of update")
        key = () if self.operation.kind == "insert" else table.key_or(self.key)
        computed = [name for name in key if table.columns[name].is_generated]
        if computed and self.operation.kind == "upsert":
            raise ConfigurationError(
                f"the database computes {', '.join(computed)} of {table.name}, so no row can be inserted "
                "with it: upsert by another key, or update"
            )
        return replace(self.operation, key=key, returning=returning)


def _has_failed(stored: Sequence[Stored]) -> bool:
    if stored[0] is None and stored.count(None) == len(stored):  # a third of the time
        return False
    return Failed in map(type, stored)


def _is_doubtful(outcome: Stored) -> bool:
    """Tell whether a row would be refused so if its table were not what it was."""
    return isinstance(outcome, Failed) and outcome.code in {"type_mismatch", "unknown_column"}


def _answers(stored: Sequence[Stored], builder: ResultBuilder[Any] | None, *, has_failed: bool) -> list[Any]:
    rows: list[Any] = stored if isinstance(stored, list) else list(stored)
    if builder is None:
        return rows
    if not has_failed:
        return builder.build_all(rows)
    following = iter(builder.build_all([row for row in rows if not isinstance(row, Failed)]))
    return [row if isinstance(row, Failed) else next(following) for row in rows]
