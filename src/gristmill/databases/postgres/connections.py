"""Connections to PostgreSQL: a pool for each event loop, a limit to the wait, no dead connection twice."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import asyncpg

from gristmill.databases.faults import Interrupted
from gristmill.databases.postgres.errors import EVERY, sorted_error
from gristmill.databases.postgres.warm import Warm, is_clean
from gristmill.databases.settings import PoolCounts, PoolSettings
from gristmill.errors import PoolTimeout

logger = logging.getLogger("gristmill.databases")

_CLOSING = 5.0
_FRESH = 0.1
"""Seconds for which a connection that came back is taken to be alive, unless its end has come."""
_JUST_NOW = 0.002
"""Seconds for which not even that is looked for."""
_TURNS = 4
"""Turns of the loop from a server's end of a connection to ours."""


class Connections:
    """The pool of the running event loop.

    Args:
        target: A URL, or an ``asyncpg.Pool`` of the user's own, which is not closed.
        settings: For a URL.
        counts: To count in.
    """

    def __init__(self, target: Any, settings: PoolSettings, counts: PoolCounts) -> None:
        self.is_own = isinstance(target, str)
        self.settings = settings
        self._target = target
        self._counts = counts
        self._rooms: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = weakref.WeakKeyDictionary()

    @property
    def pools(self) -> list[Any]:
        """Those of all event loops."""
        return [room.pool for room in self._rooms.values()] if self.is_own else [self._target]

    @asynccontextmanager
    async def acquired(self) -> AsyncIterator[Any]:
        """Lend a connection, outside of a transaction; it may come back in one, which is rolled back.

        Raises:
            PoolTimeout: None came free.
            Interrupted: The server is away.
        """
        pool, warm = await self._pool()
        connection = None if warm is None else warm.take()
        if connection is not None and await self._is_alive(pool, connection):
            self._counts.acquired += 1
        else:
            connection = await self._acquire(pool)
        self._counts.in_use += 1
        try:
            yield connection.use.connection if self.is_own else connection
        except Interrupted as interrupted:
            if interrupted.is_lost:
                await self._lost(pool, warm, connection)
            raise
        finally:
            self._counts.in_use -= 1
            if self.is_own:
                _note_use(connection)
            if warm is not None and not self._counts.waiting and is_clean(connection):
                warm.keep(connection)
            else:
                await self._give_back(pool, connection)

    async def _lost(self, pool: Any, warm: Warm | None, connection: Any) -> None:
        self._counts.lost += 1
        _cut_off(connection)
        if warm is not None:
            await pool.expire_connections()  # the idle ones may be as dead
            await warm.empty()

    async def _acquire(self, pool: Any) -> Any:
        began = time.perf_counter()
        self._counts.waiting += 1
        try:
            # With a timeout, asyncpg makes a task of it; a connection that is there needs none.
            patience = None if pool.get_idle_size() else self.settings.acquire_timeout
            connection = await pool.acquire(timeout=patience)
            if self.is_own and not await self._is_alive(pool, connection):
                connection = await pool.acquire(timeout=self.settings.acquire_timeout)
        except TimeoutError as error:
            self._counts.timeouts += 1
            raise PoolTimeout(
                f"no connection came free within {self.settings.acquire_timeout:g} seconds"
            ) from error
        except EVERY as error:
            raise sorted_error(error) from error
        finally:
            self._counts.waiting -= 1
        self._counts.acquired += 1
        self._counts.wait_seconds += time.perf_counter() - began
        return connection

    async def _is_alive(self, pool: Any, connection: Any) -> bool:
        """Ask the server, if the connection was idle for a while; give it up if no answer comes.

        A connection that turns out to be dead at the commit of an insert leaves nobody knowing whether
        the rows are stored; here it costs nothing but a new one.
        """
        age = time.monotonic() - connection.use.at
        if age < _JUST_NOW:
            return True
        try:
            if age < _FRESH:
                await _hear_of_an_end(connection)
            else:
                await connection.execute("SELECT", timeout=self.settings.acquire_timeout)
        except EVERY:
            self._counts.lost += 1
            _cut_off(connection)
            await pool.expire_connections()  # the other idle ones may be as dead
            await self._give_back(pool, connection)
            return False
        except BaseException:
            await self._give_back(pool, connection)
            raise
        return True

    async def _give_back(self, pool: Any, connection: Any) -> None:
        try:
            if not connection.is_closed() and connection.is_in_transaction():
                await asyncio.wait_for(connection.execute("ROLLBACK"), _CLOSING)
        except EVERY:
            _cut_off(connection)
        except BaseException:  # whoever was cancelled is so again; nobody else would bring it back
            _cut_off(connection)
            raise
        finally:
            await self._release(pool, connection)

    async def _release(self, pool: Any, connection: Any) -> None:
        try:
            await pool.release(connection, timeout=_CLOSING)
        except EVERY as error:
            logger.debug("a connection could not be kept: %s", error)

    async def _pool(self) -> tuple[Any, Warm | None]:
        if not self.is_own:
            return self._target, None
        loop = asyncio.get_running_loop()
        room = self._rooms.get(loop)
        if room is None:
            self._forget_ended_loops()
            pool = self._made()
            room = self._rooms[loop] = _Room(pool, Warm(partial(self._give_back, pool)))
        if not room.is_open:
            async with room.opening:
                if not room.is_open:
                    await room.pool  # which connects to nothing yet
                    room.is_open = True
        return room.pool, room.warm

    def _made(self) -> Any:
        settings = self.settings
        return asyncpg.create_pool(
            self._target,
            min_size=0,
            max_size=settings.size,
            max_inactive_connection_lifetime=settings.idle,
            timeout=settings.connect_timeout,
            command_timeout=settings.command_timeout,
            reset=_leave_as_it_is,
            connection_class=_Kept,
        )

    def _forget_ended_loops(self) -> None:
        """Let go of the connections of loops that are closed: nobody can close them any more."""
        for reference in self._rooms.keyrefs():
            loop = reference()
            if loop is not None and loop.is_closed():
                self._rooms.pop(loop, None)

    async def close(self) -> None:
        """Close the pool of this event loop, and forget those of loops that have ended."""
        rooms, self._rooms = dict(self._rooms), weakref.WeakKeyDictionary()
        room = rooms.get(asyncio.get_running_loop())
        if room is None or not room.is_open:
            return
        await room.warm.empty()
        try:
            await asyncio.wait_for(room.pool.close(), _CLOSING)
        except EVERY:
            room.pool.terminate()


class _Room:
    """The pool of one event loop."""

    def __init__(self, pool: Any, warm: Warm) -> None:
        self.pool = pool
        self.warm = warm
        self.opening = asyncio.Lock()
        self.is_open = False


async def _hear_of_an_end(connection: Any) -> None:
    """Let the loop notice that the server has closed *connection*, which it does within some turns.

    Raises:
        asyncpg.InterfaceError: It has.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    if connection.is_closed():
        raise asyncpg.InterfaceError("the server has closed the connection")


def _cut_off(connection: Any) -> None:
    with suppress(asyncpg.InterfaceError):  # it has gone back to the pool by itself
        connection.terminate()


class _Use:
    """When a connection was used last; and itself, without the proxy, which costs as much as 10 rows."""

    def __init__(self, connection: _Kept) -> None:
        self.at = math.inf
        self.connection = connection


class _Kept(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that knows its last use; asyncpg lends a proxy, which passes on what is read, not set."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.use = _Use(self)


def _note_use(connection: Any) -> None:
    with suppress(asyncpg.InterfaceError, AttributeError):  # as above
        connection.use.at = time.monotonic()


async def _leave_as_it_is(connection: Any) -> None:
    """Take a connection back without a round trip: no statement of ours changes its session."""
