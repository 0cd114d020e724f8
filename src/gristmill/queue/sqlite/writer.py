"""The one thread that writes: what came while it wrote goes into its next transaction, with one fsync."""

from __future__ import annotations

import contextlib
import copy
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import apsw

from gristmill.errors import StoreFull, StoreUnavailable
from gristmill.queue.sqlite.checkpoints import Checkpoint, Checkpoints
from gristmill.queue.sqlite.database import BUSY_TIMEOUT, PAGE, open_for_writing, patience
from gristmill.queue.sqlite.errors import STALE_CONNECTION, store_error
from gristmill.queue.sqlite.fair_lock import FairLock
from gristmill.queue.sqlite.message import JointWork, Message, answer
from gristmill.queue.sqlite.room import TIGHT, Room
from gristmill.queue.sqlite.session import Session
from gristmill.queue.sqlite.thread import DatabaseThread
from gristmill.queue.sqlite.waiters import Waiters

POLL = 0.007
"""Seconds between two looks for commits of other processes, while somebody waits for work."""

MOST_MESSAGES, MOST_BYTES = 500, 4 << 20
"""Of one transaction; what is behind waits for the next, so that these are answered soon."""

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

    @property
    def log_size(self) -> int:
        """Bytes of the write-ahead log, as of the last commit."""
        return self._checkpoints.pages * PAGE

    def _serve(self, message: Message[Session, Any]) -> None:
        group: _Messages = []
        try:
            with self._turn.held(BUSY_TIMEOUT):
                self._transact(message, group)
        except TimeoutError:
            group += [message, *self._others()]
            text = f"a transaction of this process has held {self._path} for too long"
            self._refuse(group, StoreUnavailable(text))
        answer(group)
        self._look_around()

    def _transact(self, first: Message[Session, Any], group: _Messages) -> None:
        """Do *first* and what came meanwhile, as *group*, in one transaction."""
        try:
            session = self._begin()
        except Exception as error:  # noqa: BLE001 - it is the callers'
            group += [first, *self._others()]
            self._refuse(group, error)
            return
        try:
            for messages in self._gathered(first):
                group += messages
                for kind, its in groupby(messages, key=_kind):
                    self._do_all(session, kind, list(its))
            session.connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - which of them it was shows when each is alone
            self._reason(error)
            self._roll_back()
            self._tend_log()
            self._do_singly(group)
        else:
            self._waiters.wake(session.woken)

    def _do_singly(self, group: _Messages) -> None:
        """Give each of *group* a transaction of its own, so that one that fails does not undo the others."""
        for index, message in enumerate(group):
            try:
                session = self._begin()
            except Exception as error:  # noqa: BLE001 - it is the callers'
                self._refuse(group[index:], error)
                return
            try:
                if not message.is_abandoned:
                    message.do(session)
                session.connection.execute("COMMIT")
            except Exception as error:  # noqa: BLE001 - it is the caller's
                message.error = self._reason(error)
                self._roll_back()
            else:
                self._waiters.wake(session.woken)

    def _refuse(self, messages: _Messages, error: Exception) -> None:
        """Fail all *messages*: each for itself would wait as long for the same answer."""
        for message in messages:
            message.error = copy.copy(self._reason(error))  # one each, or their tracebacks would mix
            message.error.__cause__ = error

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
            if isinstance(error, StoreFull) and self._checkpoints.holds_room:
                raise  # there may be room when it is done again
            message.error = self._reason(error)

    def _do_all(
        self, session: Session, kind: type[JointWork[Session, Any]] | None, messages: _Messages
    ) -> None:
        """Do *messages*, together if their work is of a *kind* that can be done so; raise as ``_do`` does."""
        if kind is not None and len(messages) > 1:
            messages = [message for message in messages if not message.is_abandoned]
            works: list[Any] = [message.work for message in messages]
            before = session.connection.total_changes()
            try:
                values = kind.together(session, works)
            except Exception:
                if session.connection.total_changes() != before:
                    raise  # else each is done alone, and its own error is for its caller
            else:
                for message, value in zip(messages, values, strict=True):
                    message.value = value
                return
        for message in messages:
            self._do(session, message)

    def _gathered(self, first: Message[Session, Any]) -> Iterator[_Messages]:
        """Yield *first* and what came meanwhile until there is nothing new, or enough for one transaction."""
        following: Message[Session, Any] | None = first
        count = size = 0
        while following is not None:
            messages: _Messages = []
            while following is not None:
                messages.append(following)
                count += 1
                size += following.size
                following = self._waiting() if count < MOST_MESSAGES and size < MOST_BYTES else None
            yield messages
            following = self._waiting() if count < MOST_MESSAGES and size < MOST_BYTES else None

    def _others(self) -> Iterator[Message[Session, Any]]:
        """Yield all that wait."""
        while (message := self._waiting()) is not None:
            yield message

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
        return Session(connection, self._room)

    def _roll_back(self) -> None:
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except apsw.Error:  # closing it rolls back as well, and the next one begins afresh
            self._end()

    def _reason(self, error: Exception) -> Exception:
        self._checkpoints.is_full = self._checkpoints.is_full or isinstance(error, apsw.FullError | StoreFull)
        self._is_stale = self._is_stale or isinstance(error, STALE_CONNECTION)
        if not isinstance(error, apsw.Error):
            return error
        reason = store_error(error, self._path)
        reason.__cause__ = error
        return reason

    def _note_log(self, _connection: apsw.Connection, _schema: str, pages: int) -> int:
        self._checkpoints.grew(pages)
        return apsw.SQLITE_OK

    def _room(self) -> Room:
        spare = self._connection.pragma("freelist_count") if self._connection is not None else 0
        return Room(free=self._free(), unsaved=self._checkpoints.unsaved * PAGE, spare=spare * PAGE)

    def _free(self) -> int:
        return shutil.disk_usage(self._path.parent).free

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
        """See what others committed, if somebody waits for it, and look after the log."""
        with contextlib.suppress(apsw.Error):  # the next message meets it, and tells its caller
            if self._is_stale:
                self._end()
            if self._connection is not None and self._waiters:
                self._look_for_others(self._connection)
        self._tend_log()

    def _look_for_others(self, connection: apsw.Connection) -> None:
        version = connection.pragma("data_version")
        if version != self._version:
            self._version = version
            self._waiters.wake()

    def _tend_log(self) -> None:
        """Copy the log into the file if it has grown large."""
        checkpoint = self._checkpoints.due(is_idle=self._inbox.empty(), is_tight=lambda: self._free() < TIGHT)
        if checkpoint is None or self._connection is None:
            return
        with contextlib.suppress(apsw.Error):  # a reader is in the way, or the disk full: later, then
            if checkpoint is Checkpoint.TRUNCATE:
                self._cut_log(self._connection)
            else:
                _, copied = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self._checkpoints.copied(copied)

    def _cut_log(self, connection: apsw.Connection) -> None:
        connection.set_busy_handler(patience(_PATIENCE_WITH_READERS))
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._checkpoints.was_cut()
        finally:
            connection.set_busy_handler(patience(BUSY_TIMEOUT))


def _kind(message: Message[Session, Any]) -> type[JointWork[Session, Any]] | None:
    return type(message.work) if isinstance(message.work, JointWork) else None
