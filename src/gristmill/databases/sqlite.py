"""A bulk writer for SQLite: one transaction a batch, one outcome a row, one thread a writer."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from gristmill.databases.rows import ResultBuilder
from gristmill.databases.sqlite_opening import Synchronous
from gristmill.databases.sqlite_table import Database, Opening, SqliteTable
from gristmill.errors import ConfigurationError, WriterClosed
from gristmill.model.outcome import Failed

R = TypeVar("R")


class SqliteWriter(Generic[R]):
    """Inserts batches of rows into one table.

    Rows are msgspec Structs, dataclasses, pydantic models or dicts; dates,
    times, UUIDs, Decimals and Enums are stored as JSON would write them. The
    database is opened at the first batch, in WAL mode and with foreign keys
    on. All batches go through one thread in the order of their calls; it
    belongs to no event loop, so several loops and threads may share a writer.

    Args:
        database: Path of the file, or an ``apsw.Connection``, which the writer
            uses from its thread only, does not configure and does not close.
        table: Its name.
        columns: Fields of the rows to store; None stores all of them. A dict
            may leave some out: the table's defaults apply.
        returning: What ``insert`` answers for a stored row: a dict of these
            columns, or an object of this Struct, dataclass, TypedDict or
            pydantic model, whose fields are columns.
        create: SQL run once after opening, such as ``CREATE TABLE IF NOT EXISTS``.
        synchronous: When SQLite flushes to the disk. FULL: a stored batch
            survives a power failure. NORMAL: the last ones may not.
        busy_timeout: Seconds to wait for a lock that another process holds.

    Raises:
        ConfigurationError: ``returning`` names no column or is no such type.
    """

    @overload
    def __init__(
        self: SqliteWriter[dict[str, Any]],
        database: Database,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        returning: Sequence[str] = ("id",),
        create: str | None = None,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
    ) -> None: ...

    @overload
    def __init__(
        self,
        database: Database,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        returning: type[R],
        create: str | None = None,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
    ) -> None: ...

    def __init__(
        self,
        database: Database,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        returning: Sequence[str] | type[Any] = ("id",),
        create: str | None = None,
        synchronous: Synchronous = "FULL",
        busy_timeout: float = 5.0,
    ) -> None:
        results: ResultBuilder[R] = ResultBuilder(returning)
        opening = Opening(create=create, synchronous=synchronous, busy_timeout=busy_timeout)
        self._table = SqliteTable(
            database, table, None if columns is None else tuple(columns), results, opening
        )
        self._name = f"SqliteWriter({database!r}, {table!r})"
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"gristmill-sqlite-{table}")
        self._process: int | None = None
        self._closed: Future[None] | None = None

    def __repr__(self) -> str:
        """Show where it writes."""
        return self._name

    async def insert(self, rows: Iterable[Any]) -> list[R | Failed]:
        """Store *rows* in one transaction.

        Returns:
            One entry a row, in their order: the stored row as ``returning``
            asks, or ``Failed`` with the code ``unique_violation``,
            ``not_null_violation``, ``check_violation``,
            ``foreign_key_violation``, ``constraint_violation`` (a trigger),
            ``type_mismatch``, ``number_out_of_range``, ``too_big``, ``unknown_column`` (a key of a
            dict) or ``ignored`` (by a trigger or ON CONFLICT IGNORE). A failed
            row leaves its neighbours stored.

        Raises:
            ConfigurationError: The table, a column or the type of the rows
                does not fit. Nothing was stored.
            DatabaseBusy: Locked by someone else for ``busy_timeout`` seconds. Nothing was stored.
            DatabaseFailed: Disk full, read-only, corrupt... Nothing was stored.
            WriterClosed: After ``close``.

        Cancellation: a transaction that has begun ends in its thread, and its
        rows are stored; a batch still waiting for the thread is dropped.
        """
        return await asyncio.wrap_future(self._submit(rows))

    def insert_sync(self, rows: Iterable[Any]) -> list[R | Failed]:
        """Do as ``insert``, blocking; for threads, never on an event loop."""
        return self._submit(rows).result()

    async def aclose(self) -> None:
        """Let the batches under way and waiting end, then close the database; idempotent."""
        await asyncio.shield(asyncio.wrap_future(self._begin_close()))

    def close(self) -> None:
        """Do as ``aclose``, blocking."""
        self._begin_close().result()

    async def __aenter__(self) -> SqliteWriter[R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _submit(self, rows: Iterable[Any]) -> Future[list[R | Failed]]:
        batch = tuple(rows)
        with self._lock:
            if self._closed is not None:
                raise WriterClosed(f"{self!r} is closed")
            process = os.getpid()
            if self._process not in {None, process}:  # the thread stayed in the parent: nobody would answer
                raise ConfigurationError(
                    f"{self!r} was used before this process was forked: make one after it"
                )
            self._process = process
            return self._thread.submit(self._table.insert, batch)

    def _begin_close(self) -> Future[None]:
        with self._lock:
            if self._closed is None:
                self._closed = self._thread.submit(self._table.close)
                self._thread.shutdown(wait=False)
            return self._closed
