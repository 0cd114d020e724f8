"""Exceptions on their way back from a worker process."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass


class RemoteTraceback(Exception):
    """The ``__cause__`` of an exception raised in a worker process: the traceback there, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\nin a worker process:\n{self.text}"


class RemoteError(RuntimeError):
    """Stands in for an exception of a worker process that cannot be pickled.

    Attributes:
        type_name: the dotted name of its type.
        text: its ``str()``.
    """

    def __init__(self, type_name: str, text: str) -> None:
        super().__init__(type_name, text)
        self.type_name = type_name
        self.text = text

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFailure:
    """An exception in the shape it travels in."""

    pickled: bytes | None
    type_name: str
    text: str
    traceback: str


def pack(error: BaseException) -> RemoteFailure:
    """Return *error* in the shape it travels in; never raises."""
    try:
        pickled = pickle.dumps(error, protocol=5)
    except Exception:  # noqa: BLE001 - the stand-in says all there is to say
        pickled = None
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - a __str__ of a user may do anything
        text = f"<its text failed with {type(failure).__name__}>"
    return RemoteFailure(
        pickled=pickled,
        type_name=f"{type(error).__module__}.{type(error).__qualname__}",
        text=text,
        traceback="".join(traceback.format_exception(error)),
    )


def unpack(failure: RemoteFailure) -> BaseException:
    """Return the exception, or its stand-in; its ``__cause__`` is the traceback of the worker process."""
    error: object = None
    if failure.pickled is not None:
        try:
            error = pickle.loads(failure.pickled)  # noqa: S301 - from our own worker
        except Exception:  # noqa: BLE001 - its class takes other arguments, or does not exist here
            error = None
    if not isinstance(error, BaseException):
        error = RemoteError(failure.type_name, failure.text)
    error.__cause__ = RemoteTraceback(failure.traceback)
    return error
