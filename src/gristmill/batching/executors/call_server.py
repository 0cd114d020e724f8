"""A call on its way to a worker and back: packed here, made there, its reply read here."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from typing import Any, TypeAlias

from gristmill.batching.executors.crew import name_of
from gristmill.batching.executors.function_ref import FunctionRef, refer, resolve
from gristmill.batching.executors.protocol import Function
from gristmill.batching.executors.remote_error import pack, unpack
from gristmill.errors import ConfigurationError

Call: TypeAlias = tuple[bytes, bytes]
"""A function and its arguments, pickled one by one.

The arguments may hold classes of the function's module, which has to be
there, under its name, before they are read.
"""


def pack_call(function: Function, args: tuple[Any, ...]) -> Call:
    """Return the call in the shape it travels in.

    Raises:
        ConfigurationError: The function has no name to be found by, or its arguments cannot be pickled.
    """
    header = pickle.dumps(refer(function), protocol=5)
    try:
        return header, pickle.dumps(args, protocol=5)
    except Exception as error:
        raise ConfigurationError(
            f"the arguments of {name_of(function)} cannot be sent to a worker process: "
            f"{type(error).__name__}: {error}; its items must be data that pickle takes"
        ) from error


def unpack_reply(function: Function, reply: bytes) -> Any:
    """Return what the function returned, or raise what it raised.

    Raises:
        ConfigurationError: The reply cannot be read here.
    """
    try:
        is_good, value = pickle.loads(reply)  # noqa: S301 - from our own worker
    except Exception as error:
        raise ConfigurationError(
            f"the reply of {name_of(function)} cannot be read from its worker process: "
            f"{type(error).__name__}: {error}; its classes must be importable here"
        ) from error
    if is_good:
        return value
    raise unpack(value)


class CallServer:
    """Makes the calls that a worker is sent, one after the other, in one thread."""

    def __init__(self) -> None:
        self._functions: dict[bytes, Function] = {}
        self._runner: asyncio.Runner | None = None

    def serve(self, header: bytes, args: bytes) -> tuple[bool, bytes]:
        """Make one call; return whether it succeeded, and the reply.

        The reply is a pickled ``(True, value)`` or ``(False, RemoteFailure)``.
        """
        try:
            function = self._function(header)
            items = _load_args(function, args)
            return True, _dump_value(function, self._result(function(*items)))
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
