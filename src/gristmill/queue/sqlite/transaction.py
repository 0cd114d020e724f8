"""Transactions that handlers write in, and that their batch is settled in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import apsw

from gristmill.errors import ConfigurationError, LeaseLost, StoreError
from gristmill.model.lease import Claim, Settled, Settlement
from gristmill.queue.sqlite.database import open_for_writing
from gristmill.queue.sqlite.fair_lock import FairLock
from gristmill.queue.sqlite.lane import Lane
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.settling import renew, settle
from gristmill.queue.sqlite.statements import statement
from gristmill.queue.sqlite.waiters import Waiters

T = TypeVar("T")

_FIND = statement("lease_find")


class SqliteTransaction:
    """An open transaction that holds a lease's fence.

    Attributes:
        connection: For the handler; ``with connection:`` is a savepoint.
    """

    def __init__(self, lane: Lane, connection: apsw.Connection) -> None:
        self.connection = connection
        self.woken: set[str] = set()
        self._lane = lane

    async def settle(self, settlement: Settlement) -> Settled:
        """Record *settlement* in this transaction; it counts with the commit."""
        return await _whole(self._lane.submit(partial(self._settle, settlement)))

    def _settle(self, settlement: Settlement, connection: apsw.Connection) -> Settled:
        _check_open(connection)
        session = Session(connection)
        with connection:
            settled = session.do(partial(settle, settlement=settlement))
        self.woken |= session.woken
        return settled


class Transactions:
    """One after another: SQLite has one writer.

    Args:
        path: Of the file.
        turn: To write, in this process.
        waiters: Woken by what commits.
    """

    def __init__(self, path: Path, turn: FairLock, waiters: Waiters) -> None:
        self._lane = Lane(f"the transactions of {path}", path, _open)
        self._turn = turn
        self._waiters = waiters
        self._guard = threading.Lock()
        self._is_open = False
        self._renewals: dict[int, float] = {}

    def take_on(self, leases: Sequence[int], seconds: float) -> bool:
        """Take the renewal of *leases* on if a transaction is open here, and tell whether it is.

        Nobody else writes then, so no lease can be lost, and none can be renewed: that is done when it ends.
        """
        with self._guard:
            if self._is_open:
                self._renewals.update(dict.fromkeys(leases, seconds))
            return self._is_open

    def _set_open(self, *, is_open: bool) -> None:
        with self._guard:
            self._is_open = is_open

    def _renew(self, connection: apsw.Connection) -> None:
        """Do what was taken on, in the transaction that ends now; from here on the writer does it again."""
        self._set_open(is_open=False)
        session = Session(connection)
        for seconds in set(self._renewals.values()):
            leases = [lease for lease, each in self._renewals.items() if each == seconds]
            session.do(partial(renew, leases=leases, seconds=seconds))

    def _commit(self, connection: apsw.Connection) -> None:
        _check_open(connection)
        self._renew(connection)
        connection.execute("COMMIT")

    def _roll_back(self, connection: apsw.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        self._set_open(is_open=False)
        if self._renewals:
            with contextlib.suppress(apsw.Error):  # else the next renewal does it, if it is not too late
                connection.execute("BEGIN IMMEDIATE")
                self._renew(connection)
                connection.execute("COMMIT")
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @asynccontextmanager
    async def begin(self, claim: Claim) -> AsyncIterator[SqliteTransaction]:
        """Open a transaction; raises ``LeaseLost`` if the lease had died."""
        async with self._turn.held_by_task():
            try:
                connection = await _whole(self._lane.submit(partial(_begin, claim.lease)))
                self._set_open(is_open=True)
                transaction = SqliteTransaction(self._lane, connection)
                yield transaction
                await _whole(self._lane.submit(self._commit))
            except BaseException:
                await _whole(self._lane.submit(self._roll_back))
                raise
            finally:
                self._renewals.clear()
        self._waiters.wake(transaction.woken)

    async def close(self) -> None:
        """Close the connection."""
        await self._lane.close()


def _open(path: Path) -> apsw.Connection:
    connection = open_for_writing(path)
    connection.pragma("foreign_keys", True)  # of the handler's tables
    return connection


def _begin(lease: int, connection: apsw.Connection) -> apsw.Connection:
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute(_FIND, (lease,)).fetchone()
    if found is None or found[1] is not None:
        raise LeaseLost(f"lease {lease} is settled, or somebody else has its items")
    return connection


def _check_open(connection: apsw.Connection) -> None:
    if not connection.in_transaction:
        raise StoreError(
            "the handler ended the transaction that its batch is settled in; leave that to Gristmill"
        )


async def _whole(future: asyncio.Future[T]) -> T:
    """Await *future*; a cancelled caller goes on once it is done, since it holds the connection till then."""
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([future])
        raise


def session_of(connection: object, path: Path) -> Session:
    """Return a session in the transaction that a user opened on a *connection* of their own.

    Raises:
        ConfigurationError: It is no connection to *path*, or has no transaction.
    """
    if not isinstance(connection, apsw.Connection):
        raise ConfigurationError(f"connection is an apsw.Connection, not {type(connection).__name__}")
    name = connection.db_filename("main")
    if not name or not os.path.exists(name) or not os.path.samefile(name, path):  # noqa: PTH110, PTH121 - of a str
        raise ConfigurationError(f"connection is one to {path}, the store's file, not to {name or 'memory'}")
    if not connection.in_transaction:
        raise ConfigurationError("connection has no transaction: BEGIN IMMEDIATE on it first")
    return Session(connection)
