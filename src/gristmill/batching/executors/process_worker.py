"""What runs in a worker process: read a batch, call its function, send the reply back."""

from __future__ import annotations

import os
import queue
import signal
import threading
from multiprocessing.connection import Connection

from gristmill.batching.executors.call_server import Call, CallServer
from gristmill.batching.executors.parent_death import PARENT_IS_GONE, die_with_parent


def work(connection: Connection) -> None:
    """Serve the parent at the other end of *connection* until it hangs up.

    The first call is the initializer; its failure ends the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's to answer
    reader = _Reader(connection)
    threading.Thread(target=reader.read, name="gristmill-reader", daemon=True).start()
    server = CallServer()
    is_first = True
    while (call := reader.inbox.get()) is not None:
        if is_first:
            die_with_parent()
        is_good, reply = server.serve(*call)
        del call  # an idle worker holds no items
        if not reader.send(reply) or (is_first and not is_good):
            break
        del reply
        is_first = False
    server.close()


class _Reader:
    """Reads the pipe in a thread, so that the end of the parent is seen while user code runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._is_busy = False
        self.inbox: queue.SimpleQueue[Call | None] = queue.SimpleQueue()

    def read(self) -> None:
        """Pass calls on until the parent hangs up; a busy worker ends at once then."""
        try:
            while True:
                call = (self._connection.recv_bytes(), self._connection.recv_bytes())
                self._is_busy = True
                self.inbox.put(call)
                del call
        except (EOFError, OSError, MemoryError):
            if self._is_busy:
                os._exit(PARENT_IS_GONE)
            self.inbox.put(None)

    def send(self, reply: bytes) -> bool:
        """Send *reply*; False if nobody is there to take it."""
        self._is_busy = False  # before: the parent's next call may come while this one returns
        try:
            self._connection.send_bytes(reply)
        except OSError:
            return False
        return True


def do_nothing() -> None:
    """Stand in where no initializer is given: the first call of a worker shows that it is ready."""
