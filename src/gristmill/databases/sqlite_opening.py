"""Opens a SQLite database for writing, as all of Gristmill's writers do."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias

import apsw

from gristmill.databases.sqlite_rows import transaction

Synchronous: TypeAlias = Literal["OFF", "NORMAL", "FULL", "EXTRA"]


def open_database(path: str, synchronous: Synchronous, busy_timeout: float) -> apsw.Connection:
    """Return a connection in WAL mode, with foreign keys on.

    Args:
        path: Of the file.
        synchronous: When SQLite flushes to the disk.
        busy_timeout: Seconds to wait for a lock.
    """
    connection = apsw.Connection(path)
    try:
        connection.set_busy_timeout(int(busy_timeout * 1000))
        _enter_wal(connection, busy_timeout)
        connection.pragma("synchronous", synchronous)
        connection.pragma("foreign_keys", True)
    except BaseException:
        connection.close()
        raise
    return connection


def _enter_wal(connection: apsw.Connection, busy_timeout: float) -> None:
    """Change to WAL mode.

    While another connection does the same, SQLite refuses at once, without the busy timeout.
    """
    give_up_at = time.monotonic() + busy_timeout
    while True:
        try:
            connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            if time.monotonic() >= give_up_at:
                raise
            with transaction(connection):  # waits for the other one's lock, by the busy timeout
                pass
        else:
            return
