"""MySQL and MariaDB as a backend: a batch is one transaction of multi-row statements."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from itertools import chain
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import aiomysql

from gristmill.databases.backend import no_transaction, other_database
from gristmill.databases.faults import Interrupted
from gristmill.databases.fitting import value_type
from gristmill.databases.isolating import isolate
from gristmill.databases.mysql import statements
from gristmill.databases.mysql.errors import EVERY, sorted_error
from gristmill.databases.mysql.session import LARGEST, Filling, Session, adapted
from gristmill.databases.names import TableName
from gristmill.databases.operation import ROLLED_BACK, Stored, Work
from gristmill.databases.settings import PoolCounts, PoolSettings
from gristmill.databases.table import Column, Table, no_such_table
from gristmill.databases.trying import tried
from gristmill.databases.turns import turn
from gristmill.errors import CommitUnknown, ConfigurationError, PoolTimeout
from gristmill.model.outcome import Failed
from gristmill.model.pool import PoolStats

T = TypeVar("T")


_BATCH_POINT = "gristmill_batch"
_COLUMNS = """
SELECT c.column_name, c.data_type, s.seq_in_index, c.extra
FROM information_schema.columns AS c
LEFT JOIN information_schema.statistics AS s
  ON s.table_schema = c.table_schema AND s.table_name = c.table_name
  AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'
WHERE c.table_name = %s AND c.table_schema = COALESCE(%s, DATABASE()) ORDER BY c.ordinal_position
"""
_VALUES: dict[type, tuple[str, ...]] = {
    int: ("tinyint", "smallint", "mediumint", "int", "bigint"),
    float: ("float", "double"),
    Decimal: ("decimal",),
    str: ("char", "varchar", "tinytext", "text", "mediumtext", "longtext"),
    dt.datetime: ("datetime", "timestamp"),
    dt.date: ("date",),
    dt.timedelta: ("time",),
}
_PACKET = "SELECT @@max_allowed_packet"
_AROUND = 1024
_STRICT = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"  # or it would cut texts silently


class MysqlBackend:
    """See ``Backend``.

    Args:
        target: ``mysql://user:password@host:3306/database``, or an aiomysql pool of the user's own.
        settings: Of the pool, for a URL.
        name: The label of its metrics.
    """

    def __init__(self, target: Any, settings: PoolSettings, name: str) -> None:
        self._options = options_of(target) if isinstance(target, str) else None
        self._name = name
        self._settings = settings
        self._counts = PoolCounts()
        self._largest = LARGEST
        self._pools: dict[asyncio.AbstractEventLoop | None, Any] = {}
        if self._options is None:
            self._pools[None] = target

    async def table(self, name: TableName, joined: Any) -> Table:
        """Look at a table; see ``Backend.table``."""
        rows = await self._tried(lambda session: session.fetch(_COLUMNS, (name.table, name.schema)), joined)
        if not rows:
            raise no_such_table(name)
        ((packet,),) = await self._tried(lambda session: session.fetch(_PACKET), joined)
        self._largest = max(1, int(packet) - _AROUND)
        return Table(
            name=name,
            columns={
                row[0]: Column(
                    name=row[0],
                    type=row[1],
                    is_generated=computes(str(row[3])),
                    values=None if self._options is None else value_type(_VALUES, row[1]),
                )
                for row in rows
            },
            key=tuple(name for _, name in sorted((row[2], row[0]) for row in rows if row[2] is not None)),
        )

    async def write(self, work: Work, joined: Any) -> Sequence[Sequence[Stored]]:
        """Do *work*; see ``Backend.write``."""
        return await self._tried(
            lambda session: self._write(session, work, is_joined=joined is not None), joined
        )

    async def select(
        self, table: Table, columns: Sequence[str], key: Sequence[str], keys: Sequence[Any], joined: Any
    ) -> list[tuple[Any, Sequence[Any]]]:
        """Look rows up; see ``Backend.select``."""
        width = len(key)
        values = list(map(adapted, keys if width == 1 else chain.from_iterable(keys)))
        sql = statements.selection(table, columns, key, len(keys), locks=False)
        rows = await self._tried(lambda session: session.fetch(sql, values), joined)
        return [(row[0] if width == 1 else tuple(row[:width]), row[width:]) for row in rows]

    async def _tried(self, step: Callable[[Session], Awaitable[T]], joined: Any) -> T:
        async def once() -> T:
            async with self._session(joined) as session:
                return await step(session)

        return await tried(once, name=self._name, is_joined=joined is not None)

    @asynccontextmanager
    async def _session(self, joined: Any) -> AsyncIterator[Session]:
        if joined is not None:
            if not isinstance(joined, aiomysql.Connection):
                raise other_database(joined, "MySQL")
            async with turn(joined):
                yield Session(joined, self._counts, largest=self._largest)
            return
        pool, connection = await self._acquired()
        self._counts.in_use += 1
        is_clean = False
        try:
            yield Session(
                connection, self._counts, timeout=self._settings.command_timeout, largest=self._largest
            )
            is_clean = True
        except Interrupted as interrupted:
            self._counts.lost += interrupted.is_lost
            raise
        finally:
            self._counts.in_use -= 1
            if not is_clean:
                connection.close()  # whatever transaction it is in is rolled back
            pool.release(connection)

    async def _acquired(self) -> tuple[Any, Any]:
        began = time.perf_counter()
        self._counts.waiting += 1
        try:
            pool = await self._pool()
            async with asyncio.timeout(self._settings.acquire_timeout):
                connection = await pool.acquire()
        except TimeoutError as error:
            self._counts.timeouts += 1
            raise PoolTimeout("no connection came free in time") from error
        except EVERY as error:
            raise sorted_error(error) from error
        finally:
            self._counts.waiting -= 1
        self._counts.acquired += 1
        self._counts.wait_seconds += time.perf_counter() - began
        return pool, connection

    async def _pool(self) -> Any:
        if self._options is None:
            return self._pools[None]
        loop = asyncio.get_running_loop()
        if loop not in self._pools:
            self._pools[loop] = await aiomysql.create_pool(
                minsize=0,
                maxsize=self._settings.size,
                pool_recycle=self._settings.idle,
                connect_timeout=self._settings.connect_timeout,
                autocommit=True,
                charset="utf8mb4",
                init_command=_STRICT,
                **self._options,
            )
        return self._pools[loop]

    async def _write(self, session: Session, work: Work, *, is_joined: bool) -> list[list[Any]]:
        if is_joined and not session.is_in_transaction:
            raise no_transaction()
        await session.fetch(f"SAVEPOINT {_BATCH_POINT}" if is_joined else "BEGIN")
        parts: list[list[Any]] = []
        for group in work.groups:
            filling = Filling(session, work, group)
            stored: list[Any] = []
            for start in range(0, filling.count, statements.MOST_ROWS):
                stop = min(start + statements.MOST_ROWS, filling.count)
                stored += await isolate(session, filling, start, stop)
            parts.append(stored)
        if work.atomic and any(isinstance(each, Failed) for part in parts for each in part):
            await session.fetch(f"ROLLBACK TO SAVEPOINT {_BATCH_POINT}" if is_joined else "ROLLBACK")
            return [[each if isinstance(each, Failed) else ROLLED_BACK for each in part] for part in parts]
        if not is_joined:
            await self._commit(session, work)
        return parts

    async def _commit(self, session: Session, work: Work) -> None:
        try:
            await session.fetch("COMMIT")
        except Interrupted as interrupted:
            if interrupted.was_answered or work.operation.kind in ("upsert", "update"):
                raise
            unknown = CommitUnknown(
                "the connection broke at the commit: all of the batch is stored, or nothing"
            )
            raise Interrupted(unknown, is_lost=True, was_answered=False) from interrupted

    def stats(self) -> PoolStats:
        """Return how the connections stand."""
        pools = list(self._pools.values())
        size = self._settings.size if self._options is not None else pools[0].maxsize
        return self._counts.snapshot(self._name, size=size, open_now=sum(pool.size for pool in pools))

    async def aclose(self) -> None:
        """Close the pool of this event loop."""
        if self._options is None:
            return
        pool = self._pools.pop(asyncio.get_running_loop(), None)
        if pool is not None:
            pool.close()
            with suppress(*EVERY):
                await pool.wait_closed()


def computes(extra: str) -> bool:
    """Tell whether *extra* says that a column is computed, not that its default is (DEFAULT_GENERATED)."""
    return "GENERATED" in extra.upper().split()


def options_of(url: str) -> dict[str, Any]:
    """Return what aiomysql takes of *url*; ``?unix_socket=/path`` names a socket.

    Raises:
        ConfigurationError: It names no database.
    """
    parts = urlsplit(url)
    database = unquote(parts.path.lstrip("/"))
    if not database:
        raise ConfigurationError("a MySQL database is mysql://user:password@host:3306/database")
    socket = parts.query.removeprefix("unix_socket=") if parts.query.startswith("unix_socket=") else None
    where = {"unix_socket": unquote(socket)} if socket else {"host": parts.hostname or "localhost"}
    return {
        **where,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "db": database,
    }
