"""What callers on event loops send to a thread of the store, and how they are answered."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
C = TypeVar("C")


class JointWork(ABC, Generic[C, T]):
    """Work that is done sooner together with other work of its class."""

    @abstractmethod
    def __call__(self, context: C) -> T:
        """Do it alone."""

    @classmethod
    @abstractmethod
    def together(cls, context: C, works: Sequence[Self]) -> Sequence[T]:
        """Do all of *works*, and return what came of each; raise if one of them fails."""


class Message(Generic[C, T]):
    """Work for a thread, and what came of it.

    Attributes:
        work: Is given the thread's session or connection.
        size: Bytes that it brings, about.
        future: Of the caller, on the loop that was running when the message was made.
    """

    __slots__ = ("error", "future", "loop", "size", "value", "work")

    def __init__(self, work: Callable[[C], T], size: int = 0) -> None:
        self.work = work
        self.size = size
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.value: T | None = None
        self.error: BaseException | None = None

    def do(self, context: C) -> None:
        """Do the work; what it raises is for the thread to sort out."""
        self.value, self.error = None, None
        self.value = self.work(context)

    @property
    def is_abandoned(self) -> bool:
        """Whether the caller was cancelled."""
        return self.future.cancelled()


def answer(messages: Iterable[Message[Any, Any]]) -> None:
    """Wake the callers of *messages*: one call to each of their loops."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Message[Any, Any]]] = {}
    for message in messages:
        by_loop.setdefault(message.loop, []).append(message)
    for loop, its in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            loop.call_soon_threadsafe(_hand_over, its)


def _hand_over(messages: list[Message[Any, Any]]) -> None:
    for message in messages:
        if message.future.done():  # cancelled
            continue
        if message.error is not None:
            message.future.set_exception(message.error)
        else:
            message.future.set_result(message.value)
