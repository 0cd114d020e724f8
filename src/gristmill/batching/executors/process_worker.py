"""What runs in a worker process: read a batch, call its function, send the reply back."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import queue
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

from gristmill.batching.executors.function_ref import FunctionRef, resolve
from gristmill.batching.executors.parent_death import PARENT_IS_GONE, die_with_parent
from gristmill.batching.executors.protocol import Function
from gristmill.batching.executors.remote_error import pack
from gristmill.errors import ConfigurationError

# A call is two messages, its function and its arguments; a reply is one.
# The arguments may hold classes of the function's module, which has to be
# there, under its name, before they are read.
_Call: TypeAlias = tuple[bytes, bytes]


def work(connection: Connection) -> None:
    """Serve the parent at the other end of *connection* until it hangs up.

    The first call is the initializer; its failure ends the process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's to answer
    reader = _Reader(connection)
    threading.Thread(target=reader.read, name="gristmill-reader", daemon=True).start()
    server = _Server()
    is_first = True
    while (call := reader.inbox.get()) is not None:
        if is_first:
            die_with_parent()
        is_good, reply = server.serve(call)
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
        self.inbox: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()

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


class _Server:
    """Makes the calls, one after the other, in the main thread."""

    def __init__(self) -> None:
        self._functions: dict[bytes, Function] = {}
        self._runner: asyncio.Runner | None = None

    def serve(self, call: _Call) -> tuple[bool, bytes]:
        """Make one call; return whether it succeeded, and the reply.

        The reply is a pickled ``(True, value)`` or ``(False, RemoteFailure)``.
        """
        try:
            function = self._function(call[0])
            args = _load_args(function, call[1])
            return True, _dump_value(function, self._result(function(*args)))
        except BaseException as error:  # noqa: BLE001 - SystemExit too is the caller's to see
            if error.__traceback__ is not None:
                error = error.with_traceback(error.__traceback__.tb_next)  # without this frame
            return False, pickle.dumps((False, pack(error)), protocol=5)

    def close(self) -> None:
        """Close the event loop, if there is one."""
        if self._runner is not None:
            self._runner.close()

    def _function(self, header: bytes) -> Function:
        function = self._functions.get(header)
        if function is None:
            ref: FunctionRef = pickle.loads(header)  # noqa: S301 - from our parent process
            function = self._functions[header] = resolve(ref)
        return function

    def _result(self, value: Any) -> Any:
        if not inspect.iscoroutine(value):
            return value
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(value)


def do_nothing() -> None:
    """Stand in where no initializer is given: the first call of a worker shows that it is ready."""


def _load_args(function: Function, pickled: bytes) -> tuple[Any, ...]:
    try:
        return pickle.loads(pickled)  # type: ignore[no-any-return]  # noqa: S301 - from our parent process
    except Exception as error:
        raise ConfigurationError(
            f"the arguments of {function.__qualname__} cannot be read in a worker process: "
            f"{type(error).__name__}: {error}; their classes must be importable there"
        ) from error


def _dump_value(function: Function, value: object) -> bytes:
    try:
        return pickle.dumps((True, value), protocol=5)
    except Exception as error:
        raise ConfigurationError(
            f"the reply of {function.__qualname__} cannot be sent from a worker process: "
            f"{type(error).__name__}: {error}; reply with data that pickle takes"
        ) from error
