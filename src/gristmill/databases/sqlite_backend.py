"""SQLite as a backend: one connection, one thread, one transaction a batch."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import apsw

from gristmill.databases.backend import other_database
from gristmill.databases.faults import RowRefused
from gristmill.databases.names import TableName
from gristmill.databases.operation import IGNORED, NOT_FOUND, ROLLED_BACK, Stored, Work
from gristmill.databases.rows import as_scalar
from gristmill.databases.settings import PoolCounts, PoolSettings
from gristmill.databases.sqlite_errors import ROW_ERRORS, batch_error, is_of_statement, row_failure
from gristmill.databases.sqlite_opening import open_database
from gristmill.databases.sqlite_rows import Answer, RowStatement, TransactionLost, run_rows, store
from gristmill.databases.sqlite_statements import inspect, row_statement, selection
from gristmill.databases.table import Table
from gristmill.databases.turns import turn
from gristmill.errors import ConfigurationError, DatabaseFailed, WriterClosed
from gristmill.model.outcome import Failed
from gristmill.model.pool import PoolStats

T = TypeVar("T")

_MAX_PARAMETERS = 30_000


class SqliteBackend:
    """See ``Backend``.

    Args:
        target: ``sqlite:///relative.db``, ``sqlite:////absolute.db``, or an
            ``apsw.Connection``, which is used from one thread and not closed.
        settings: ``acquire_timeout`` is how long the lock of another process is waited for.
        name: The label of its metrics.
    """

    def __init__(self, target: Any, settings: PoolSettings, name: str) -> None:
        self._name = name
        self._settings = settings
        self._counts = PoolCounts()
        self._path = _path_of(target) if isinstance(target, str) else None
        self._connection: apsw.Connection | None = None if isinstance(target, str) else target
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._is_closed = False

    async def table(self, name: TableName, joined: Any) -> Table:
        """Look at a table; see ``Backend.table``."""
        return await self._run(lambda connection: inspect(connection, name), joined)

    async def write(self, work: Work, joined: Any) -> Sequence[Sequence[Stored]]:
        """Do *work*; see ``Backend.write``."""
        found = await self._run(partial(_write, work, is_joined=joined is not None), joined)
        return [[found[index] for index in group.indices] for group in work.groups]

    async def select(
        self, table: Table, columns: Sequence[str], key: Sequence[str], keys: Sequence[Any], joined: Any
    ) -> list[tuple[Any, Sequence[Any]]]:
        """Look rows up; see ``Backend.select``."""
        return await self._run(partial(_select, table, columns, key, keys), joined)

    async def _run(self, work: Callable[[apsw.Connection], T], joined: Any) -> T:
        """Do *work* in the thread of the connection, or in another one for a *joined* connection.

        A caller that is cancelled leaves it to end; it is awaited first where the connection is the caller's.
        """
        if joined is None:
            submitted = self._started().submit(lambda: self._in_thread(work))
            submitted.add_done_callback(self._note_end)
            return await asyncio.wrap_future(submitted)
        if not isinstance(joined, apsw.Connection):
            raise other_database(joined, "SQLite")
        async with turn(joined):
            self._counts.round_trips += 1
            task: asyncio.Future[T] = asyncio.ensure_future(asyncio.to_thread(_translated, work, joined))
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait([task])
                raise

    def _started(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._is_closed:
                raise WriterClosed("the connection to SQLite is closed")
            if self._thread is None:
                self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gristmill-sqlite")
            self._counts.waiting += 1
            return self._thread

    def _note_end(self, submitted: Future[Any]) -> None:
        if submitted.cancelled():  # it never came to the thread
            self._counts.waiting -= 1

    def _in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        self._counts.waiting -= 1
        self._counts.acquired += 1
        self._counts.in_use = 1
        try:
            return _translated(lambda _: self._with_connection(work), None)
        finally:
            self._counts.in_use = 0

    def _with_connection(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._connection is None:
            began = time.perf_counter()
            self._connection = open_database(self._path or "", "FULL", self._settings.acquire_timeout)
            self._counts.wait_seconds += time.perf_counter() - began
        self._counts.round_trips += 1
        return work(self._connection)

    def stats(self) -> PoolStats:
        """Return how the connection stands."""
        return self._counts.snapshot(self._name, size=1, open_now=int(self._connection is not None))

    async def aclose(self) -> None:
        """Let what waits end, and close the connection, unless it is the caller's."""
        with self._lock:
            self._is_closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.wrap_future(thread.submit(self._close))
            thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._path is not None and self._connection is not None:
            self._connection.close()
        self._connection = None


def _path_of(url: str) -> str:
    path = url.removeprefix("sqlite:///")
    if path == url or not path or path.startswith(":memory:"):
        raise ConfigurationError(
            f"a SQLite database is sqlite:///relative.db or sqlite:////absolute.db, not {url!r}"
        )
    return os.path.abspath(path)  # noqa: PTH100 - of a str


def _translated(work: Callable[[Any], T], given: Any) -> T:
    try:
        return work(given)
    except apsw.Error as error:
        if is_of_statement(error):
            raise ConfigurationError(f"SQLite refuses the statement: {error}") from error
        raise batch_error(error) from error


def _write(work: Work, connection: apsw.Connection, *, is_joined: bool) -> dict[int, Stored]:
    statements = dict(_statements(work))
    order = sorted(statements)  # as the items came, over all groups
    finish = partial(_finished, work, order)
    rows = [statements[index] for index in order]
    table = work.table.name.table
    try:
        if not is_joined:
            return store(connection, table, rows, finish)
        if not work.atomic:
            return finish(run_rows(connection, table, rows))
        connection.execute("SAVEPOINT gristmill_batch")
        try:
            return finish(run_rows(connection, table, rows))
        except _Undone:
            connection.execute("ROLLBACK TO gristmill_batch")
            raise
        finally:
            if connection.in_transaction:
                connection.execute("RELEASE gristmill_batch")
    except _Undone as undone:
        return undone.outcomes
    except TransactionLost as lost:
        raise DatabaseFailed(
            "a rule of the table rolled back the transaction that the batch is settled in"
        ) from lost


class _Undone(Exception):
    """Rolls an atomic batch back."""

    def __init__(self, outcomes: dict[int, Stored]) -> None:
        super().__init__()
        self.outcomes = outcomes


def _finished(work: Work, order: Sequence[int], answers: Sequence[Answer]) -> dict[int, Stored]:
    if work.atomic and any(isinstance(each, Failed) for each in answers):
        raise _Undone(
            {
                index: each if isinstance(each, Failed) else ROLLED_BACK
                for index, each in zip(order, answers, strict=True)
            }
        )
    if work.operation.returning:
        return dict(zip(order, answers, strict=True))
    return {
        index: each if isinstance(each, Failed) else None for index, each in zip(order, answers, strict=True)
    }


def _statements(work: Work) -> Any:
    nothing = NOT_FOUND if work.operation.pairs_by_number else IGNORED
    for group in work.groups:
        sql, columns = row_statement(work.operation, work.table, group.columns)
        values = [group.values[group.columns.index(name)] for name in columns]
        rows = zip(*values, strict=True) if values else [()] * len(group.indices)
        for index, row in zip(group.indices, rows, strict=True):
            yield index, RowStatement(sql, columns, row, nothing)


def _select(
    table: Table, columns: Sequence[str], key: Sequence[str], keys: Sequence[Any], connection: apsw.Connection
) -> list[tuple[Any, Sequence[Any]]]:
    width = len(key)
    most = _MAX_PARAMETERS // width
    found: list[tuple[Any, Sequence[Any]]] = []
    cursor = connection.cursor()
    cursor.convert_binding = lambda _cursor, _number, value: as_scalar(value)
    for start in range(0, len(keys), most):
        part = keys[start : start + most]
        values = list(part) if width == 1 else list(chain.from_iterable(part))
        try:
            rows = cursor.execute(selection(table, columns, key, len(part)), values).fetchall()
        except ROW_ERRORS as error:
            failed = row_failure(error, table=table.name.table, columns=key, values=values)
            raise RowRefused(failed) from error
        found += [(row[0] if width == 1 else tuple(row[:width]), row[width:]) for row in rows]
    return found
