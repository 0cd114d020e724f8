"""Connections: a few of them, each command with an end in time, and transactions that are tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg

from gristmill.errors import StoreError
from gristmill.queue.postgres.address import Address
from gristmill.queue.postgres.failures import LOST, may_repeat, translated
from gristmill.queue.postgres.statements import statements

T = TypeVar("T")

logger = logging.getLogger("gristmill.queue")

CONNECT = 5.0
"""Seconds for a connection to come about."""

COMMAND = 30.0
"""Seconds for a command."""

LONG = 600.0
"""Seconds for a command over many rows: migrating, redriving, pruning."""

_CLOSING = 5.0
_REPEATS = 3

_EVERY = {"default_transaction_isolation": "read committed"}
_OURS = {
    # Plans are made once a session, perhaps while the tables are empty, and must fit when they are not.
    "enable_seqscan": "off",
    "jit": "off",
    "idle_in_transaction_session_timeout": "30s",
}


class Session:
    """Statements by their names, on one connection; a timeout of None is that of the connection."""

    def __init__(self, connection: Any, sql: Mapping[str, str]) -> None:
        self.connection = connection
        self._sql = sql

    async def fetch(self, name: str, *values: Any, timeout: float | None = None) -> list[Any]:
        """Run the statement *name* and return its rows."""
        with translated():
            rows: list[Any] = await self.connection.fetch(self._sql[name], *values, timeout=timeout)
        return rows

    async def row(self, name: str, *values: Any, timeout: float | None = None) -> Any:
        """Run the statement *name* and return its first row, or None."""
        rows = await self.fetch(name, *values, timeout=timeout)
        return rows[0] if rows else None

    async def value(self, name: str, *values: Any, timeout: float | None = None) -> Any:
        """Run the statement *name* and return the first value of its first row, or None."""
        row = await self.row(name, *values, timeout=timeout)
        return None if row is None else row[0]


class Connections:
    """Up to *size* connections to *address*, made when they are needed.

    Belongs to the event loop of its first use, until it is closed.

    Args:
        address: Where the server is.
        size: How many.
        patience: Seconds for one command, and for a connection to come free; a half-open connection is
            noticed by it.
        for_handlers: Whether users' own statements run on them: their sessions are as the server has them,
            and are cleaned of what was left in them.
    """

    def __init__(
        self, address: Address, *, size: int, patience: float = COMMAND, for_handlers: bool = False
    ) -> None:
        self.address = address
        self._for_handlers = for_handlers
        self._patience = patience
        self._size = size
        self._sql = statements(address.schema)
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def connect(self) -> Any:
        """Return a connection of the caller's own."""
        with translated():
            return await asyncpg.connect(**self._options())

    def _options(self) -> dict[str, Any]:
        address = self.address
        settings: dict[str, str] = {}
        if not address.is_pooled:  # PgBouncer refuses to log in with them
            settings |= _EVERY if self._for_handlers else _EVERY | _OURS
        if not address.names_application:
            settings["application_name"] = "gristmill"
        return {
            "dsn": address.dsn,
            "timeout": CONNECT,
            "command_timeout": self._patience,
            "statement_cache_size": 0 if address.is_pooled else 100,
            "max_cached_statement_lifetime": 0,
            "server_settings": settings,
        }

    async def _ready(self) -> Any:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    is_dirty = self._for_handlers and not self.address.is_pooled
                    self._pool = await asyncpg.create_pool(
                        min_size=0,
                        max_size=self._size,
                        reset=None if is_dirty else _leave_as_it_is,
                        **self._options(),
                    )
        return self._pool

    @asynccontextmanager
    async def _acquired(self) -> AsyncIterator[Any]:
        with translated():
            pool = await self._ready()
            connection = await pool.acquire(timeout=self._patience)
        try:
            yield connection
        except StoreError as error:
            if isinstance(error.__cause__, LOST):
                _cut_off(connection)
            raise
        finally:
            try:
                await pool.release(connection, timeout=_CLOSING)
            except (asyncpg.PostgresError, *LOST) as error:
                # asyncpg has closed it; what was done on it is done.
                logger.debug("a connection could not be kept: %s", error)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open a transaction; leaving it commits, or rolls back on an error, which is raised as it came."""
        async with self._acquired() as connection:
            transaction = connection.transaction()
            with translated():
                await transaction.start()
            try:
                yield Session(connection, self._sql)
            except BaseException as error:
                await _roll_back(connection, transaction, error)
                raise
            with translated():
                await transaction.commit()

    async def transact(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do *work* in a transaction; again if it met another one, so it must have no effects of its own."""

        async def attempt() -> T:
            async with self.session() as session:
                return await work(session)

        return await self._repeat(attempt)

    async def _repeat(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for _ in range(_REPEATS - 1):
            try:
                return await attempt()
            except StoreError as error:
                if not may_repeat(error):
                    raise
        return await attempt()

    async def fetch(self, name: str, *values: Any, timeout: float | None = None) -> list[Any]:
        """Run the statement *name* in a transaction of its own, and return its rows."""

        async def attempt() -> list[Any]:
            async with self._acquired() as connection:
                return await Session(connection, self._sql).fetch(name, *values, timeout=timeout)

        return await self._repeat(attempt)

    async def row(self, name: str, *values: Any, timeout: float | None = None) -> Any:
        """Run the statement *name* and return its first row, or None."""
        rows = await self.fetch(name, *values, timeout=timeout)
        return rows[0] if rows else None

    async def value(self, name: str, *values: Any, timeout: float | None = None) -> Any:
        """Run the statement *name* and return the first value of its first row, or None."""
        row = await self.row(name, *values, timeout=timeout)
        return None if row is None else row[0]

    async def close(self) -> None:
        """Let commands under way end, for a while, and close all connections. Idempotent."""
        pool, self._pool = self._pool, None
        self._opening = asyncio.Lock()  # the next use may be in another event loop
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), _CLOSING)
        except (asyncpg.PostgresError, *LOST):
            pool.terminate()


async def close_connection(connection: Any) -> None:
    """Close a connection of ours, whether or not the server is there to hear it."""
    try:
        await connection.close(timeout=_CLOSING)
    except (asyncpg.PostgresError, *LOST):
        connection.terminate()


async def _roll_back(connection: Any, transaction: Any, error: BaseException) -> None:
    if isinstance(error, StoreError) and isinstance(error.__cause__, LOST):
        _cut_off(connection)  # nobody may be there to answer
        return
    try:
        await asyncio.wait_for(transaction.rollback(), _CLOSING)
    except (asyncpg.PostgresError, *LOST):
        _cut_off(connection)


def _cut_off(connection: Any) -> None:
    with suppress(asyncpg.InterfaceError):  # it has gone back to the pool by itself
        connection.terminate()


async def _leave_as_it_is(connection: Any) -> None:
    """Take a connection back without a round trip: no statement of ours changes its session."""
