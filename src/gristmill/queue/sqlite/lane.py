"""A thread with a connection that does one piece of work after another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from gristmill.queue.sqlite.errors import STALE_CONNECTION, store_error
from gristmill.queue.sqlite.message import Message, answer
from gristmill.queue.sqlite.thread import DatabaseThread


class Lane(DatabaseThread[apsw.Connection]):
    """Gives its connection to each message by itself, outside of transactions.

    Args:
        name: Of the thread.
        path: Of the file.
        open_: Opens it; called for the first message, and after errors that a new connection may not have.
    """

    def __init__(self, name: str, path: Path, open_: Callable[[Path], apsw.Connection]) -> None:
        super().__init__(name)
        self._path = path
        self._open = open_
        self._connection: apsw.Connection | None = None

    def _serve(self, message: Message[apsw.Connection, Any]) -> None:
        try:
            if self._connection is None:
                self._connection = self._open(self._path)
            message.do(self._connection)
        except apsw.Error as error:
            message.error = store_error(error, self._path)
            if isinstance(error, STALE_CONNECTION):
                self._end()
        except Exception as error:  # noqa: BLE001 - it is the caller's
            message.error = error
        answer([message])

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
