"""A thread that serves messages, in the order in which they came."""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from gristmill.errors import ConfigurationError, StoreUnavailable
from gristmill.queue import forks
from gristmill.queue.sqlite.message import Message, answer

C = TypeVar("C")
T = TypeVar("T")


class _Signal(Enum):
    """What lies among the messages and is none."""

    LOOK = auto()  # at how long the thread may sleep
    STOP = auto()


class DatabaseThread(ABC, Generic[C]):
    """Started by its first message; what messages are given is the subclass's to say.

    Args:
        name: Of the thread, also in errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Message[C, Any] | _Signal] = queue.SimpleQueue()
        self._generation = -1  # of the process in which the thread was started
        self._is_closed = False
        self._is_stopping = False
        self._ended: Future[None] = Future()

    def submit(self, work: Callable[[C], T], size: int = 0) -> asyncio.Future[T]:
        """Have *work* done; a cancelled caller's is done whole or not at all.

        Raises:
            StoreUnavailable: After ``close``.
            ConfigurationError: In a child of the process in which it was started.
        """
        generation = self._generation
        if (
            generation >= 0 and generation != forks.generation
        ):  # the thread stayed in the parent: nobody would answer
            raise ConfigurationError(
                f"{self._name} was used before this process was forked: make one after it"
            )
        message = Message(work, size)
        with self._lock:
            if self._is_closed:
                raise StoreUnavailable(f"{self._name} is closed")
            if self._generation < 0:
                self._generation = forks.generation
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self._inbox.put(message)
        return message.future

    def nudge(self) -> None:
        """Let the thread look again at how long it may sleep."""
        self._inbox.put(_Signal.LOOK)

    async def close(self) -> None:
        """Let what was accepted end, then the thread; idempotent."""
        if self._generation != forks.generation:  # never started, or by a parent
            self._is_closed = True
            return
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._inbox.put(_Signal.STOP)
        await asyncio.shield(asyncio.wrap_future(self._ended))

    def _run(self) -> None:
        message: Message[C, Any] | None = None
        try:
            while (message := self._next()) is not None:
                self._serve(message)
        finally:
            # Only a bug comes here with a message; even then nobody is left waiting.
            with self._lock:
                self._is_closed = True
            while message is not None:
                message.error = StoreUnavailable(f"{self._name} has ended by an error")
                answer([message])
                message = self._waiting()
            try:
                self._end()
            finally:
                self._ended.set_result(None)

    def _next(self) -> Message[C, Any] | None:
        """Return the next message, sleeping until there is one; None at the end."""
        while not self._is_stopping:
            try:
                found = self._inbox.get(timeout=self._pause())
            except queue.Empty:
                self._idle()
                continue
            if isinstance(found, Message):
                return found
            self._is_stopping = found is _Signal.STOP
        return None

    def _waiting(self) -> Message[C, Any] | None:
        """Return the next message if there is one already."""
        while not self._is_stopping and not self._inbox.empty():
            found = self._inbox.get_nowait()
            if isinstance(found, Message):
                return found
            self._is_stopping = found is _Signal.STOP
        return None

    @abstractmethod
    def _serve(self, message: Message[C, Any]) -> None:
        """Do the work of *message*, and of others if that is better, and answer them. Never raises."""

    @abstractmethod
    def _end(self) -> None:
        """Close what the thread holds."""

    def _pause(self) -> float | None:
        """Return the seconds after which ``_idle`` is called without a message; None for never."""
        return None

    def _idle(self) -> None:
        """Do what is done while there are no messages."""
