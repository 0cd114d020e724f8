"""The one thread that writes: what came while it wrote goes into its next transaction, with one fsync."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from gristmill.errors import StoreUnavailable
from gristmill.queue.sqlite.checkpoints import Checkpoint, Checkpoints
from gristmill.queue.sqlite.database import BUSY_TIMEOUT, PAGE, open_for_writing, patience
from gristmill.queue.sqlite.errors import STALE_CONNECTION, store_error
from gristmill.queue.sqlite.fair_lock import FairLock
from gristmill.queue.sqlite.message import Message, answer
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.thread import DatabaseThread
from gristmill.queue.sqlite.waiters import Waiters

POLL = 0.01
"""Seconds between two looks for commits of other processes, while somebody waits for work."""

MOST_MESSAGES, MOST_BYTES = 500, 4 << 20
"""Of one transaction; what is behind waits for the next, so that these are answered soon."""

RESERVED = 8 << 20
"""Bytes of the disk that new work may not use: settling old work makes the log grow a little."""

_PATIENCE_WITH_READERS = 0.05  # seconds of a checkpoint that waits for them

_Messages: TypeAlias = list[Message[Session, Any]]


class Writer(DatabaseThread[Session]):
    """Owns the connection that writes.

    Args:
        path: Of the file.
        turn: To write, in this process.
        waiters: Who waits for something to become due.
    """

    def __init__(self, path: Path, turn: FairLock, waiters: Waiters) -> None:
        super().__init__(f"the store {path}")
        self._path = path
        self._turn = turn
        self._waiters = waiters
        self._connection: apsw.Connection | None = None
        self._is_stale = False  # whether a new connection may do better
        self._checkpoints = Checkpoints()
        self._version = 0  # changes with commits of other connections

    def _serve(self, message: Message[Session, Any]) -> None:
        group: _Messages = []
        try:
            with self._turn.held(BUSY_TIMEOUT):
                self._transact(message, group)
        except TimeoutError:
            text = f"a transaction of this process has held {self._path} for too long"
            self._refuse(message, group, StoreUnavailable(text))
        answer(group)
        self._look_around()

    def _transact(self, first: Message[Session, Any], group: _Messages) -> None:
        """Do *first* and what came meanwhile, as *group*, in one transaction."""
        try:
            session = self._begin()
        except Exception as error:  # noqa: BLE001 - it is the callers'
            self._refuse(first, group, error)
            return
        try:
            for message in self._gathered(first):
                group.append(message)
                self._do(session, message)
            session.connection.execute("COMMIT")
        except Exception:  # noqa: BLE001 - which of them it was shows when each is alone
            self._roll_back()
            self._do_singly(group)
        else:
            self._waiters.wake(session.woken)

    def _do_singly(self, group: _Messages) -> None:
        """Give each of *group* a transaction of its own, so that one that fails does not undo the others."""
        for message in group:
            try:
                session = self._begin()
                if not message.is_abandoned:
                    message.do(session)
                session.connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 - it is the caller's
                message.error = self._reason(error)
                self._roll_back()
            else:
                self._waiters.wake(session.woken)

    def _do(self, session: Session, message: Message[Session, Any]) -> None:
        """Do *message*; raise what it raises only if that leaves something to undo."""
        if message.is_abandoned:
            return
        connection = session.connection
        before = connection.total_changes()
        try:
            message.do(session)
        except Exception as error:
            if not connection.in_transaction or connection.total_changes() != before:
                raise
            message.error = self._reason(error)

    def _gathered(self, first: Message[Session, Any]) -> Iterator[Message[Session, Any]]:
        """Yield *first* and those that come until there is no other, or enough for one transaction."""
        message: Message[Session, Any] | None = first
        count = size = 0
        while message is not None:
            yield message
            count += 1
            size += message.size
            message = self._waiting() if count < MOST_MESSAGES and size < MOST_BYTES else None

    def _refuse(self, first: Message[Session, Any], group: _Messages, error: Exception) -> None:
        """Fail *first* and, as *group*, what came meanwhile: each would wait as long for the same answer."""
        message: Message[Session, Any] | None = first
        while message is not None:
            message.error = copy.copy(self._reason(error))  # one each, or their tracebacks would mix
            message.error.__cause__ = error
            group.append(message)
            message = self._waiting()

    # -- the connection

    def _begin(self) -> Session:
        connection = self._connection
        if connection is None:
            connection = self._connection = open_for_writing(self._path)
            connection.set_wal_hook(self._note_log)
            self._version = connection.pragma("data_version")
        connection.execute(
            "BEGIN IMMEDIATE"
        )  # never a read first: an upgrade is refused at once where others write
        return Session(connection, self._has_room)

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _reason(self, error: Exception) -> Exception:
        if not isinstance(error, apsw.Error):
            return error
        self._is_stale = self._is_stale or isinstance(error, STALE_CONNECTION)
        reason = store_error(error, self._path)
        reason.__cause__ = error
        return reason

    def _note_log(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._checkpoints.pages = pages
        return apsw.SQLITE_OK

    def _has_room(self) -> bool:
        return shutil.disk_usage(self._path.parent).free > RESERVED + self._checkpoints.pages * PAGE

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        self._is_stale = False
        if connection is not None:
            connection.close()

    # -- between transactions

    def _pause(self) -> float | None:
        return POLL if self._waiters else None

    def _idle(self) -> None:
        self._look_around()

    def _look_around(self) -> None:
        """See what others committed, if somebody waits for it, and copy the log if it has grown large."""
        if self._is_stale:
            self._end()
        if self._connection is None:
            return
        with contextlib.suppress(apsw.Error):  # the next message meets it, and tells its caller
            if self._waiters:
                self._look_for_others(self._connection)
            checkpoint = self._checkpoints.due(is_idle=self._inbox.empty())
            if checkpoint is not None:
                _copy_log(self._connection, checkpoint)

    def _look_for_others(self, connection: apsw.Connection) -> None:
        version = connection.pragma("data_version")
        if version != self._version:
            self._version = version
            self._waiters.wake()


def _copy_log(connection: apsw.Connection, checkpoint: Checkpoint) -> None:
    if checkpoint is Checkpoint.PASSIVE:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return
    connection.set_busy_handler(patience(_PATIENCE_WITH_READERS))
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        connection.set_busy_handler(patience(BUSY_TIMEOUT))
