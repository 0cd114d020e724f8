"""Threads that each see one batch at a time through, for any number of event loops."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from gristmill.batching.executors.protocol import Function
from gristmill.errors import BatchCancelled, WorkerDied

_log = logging.getLogger("gristmill.executors")


def name_of(function: Function) -> str:
    """Return the dotted name of *function* for messages."""
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"


class Job:
    """One call on its way through a crew.

    Attributes:
        context: a copy of the caller's context variables.
        is_dropped: the caller was cancelled; nobody wants the result.
        is_closed: the crew was closed while the call ran.
    """

    __slots__ = ("_future", "_loop", "args", "context", "function", "is_closed", "is_dropped", "member")

    def __init__(self, function: Function, args: tuple[Any, ...]) -> None:
        self.function = function
        self.args = args
        self.context = contextvars.copy_context()
        self.is_dropped = False
        self.is_closed = False
        self.member: Member | None = None
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()

    async def result(self) -> Any:
        """Wait for the end of the call; return or raise what it did."""
        # The error travels as a value: a future never accepts StopIteration
        # and would complain about an exception that nobody fetched.
        value, error = await self._future
        if error is None:
            return value
        try:
            raise error
        finally:
            del error  # its traceback holds this frame

    def finish(self, value: object, error: BaseException | None) -> None:
        """Hand the end of the call to the caller's loop; from any thread."""
        if self.is_dropped:
            self._note_late(error)
            return
        try:
            self._loop.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:
            _log.debug(
                "the event loop that waited for %s is closed; its reply is dropped", name_of(self.function)
            )

    def _settle(self, value: object, error: BaseException | None) -> None:
        if self._future.done():
            self._note_late(error)
        else:
            self._future.set_result((value, error))

    def _note_late(self, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, WorkerDied | asyncio.CancelledError):
            _log.debug("%s failed after its batch was cancelled", name_of(self.function), exc_info=error)


class Hand(Protocol):
    """What one thread of a crew makes its calls with."""

    @property
    def is_ready(self) -> bool:
        """Whether the next call can begin at once; other threads are asked first if not."""

    def call(self, job: Job) -> Any:
        """Make the call and wait for its end."""

    def stop(self) -> bool:
        """End the call under way, from another thread; False if it cannot be done and the thread is lost."""

    def rest(self) -> None:
        """Tidy up after a call whose result is already on its way."""

    def release(self) -> None:
        """Let go of everything: the thread ends."""

    def forget(self) -> None:
        """Let go of what belongs to the parent process; this one was forked from it."""


class Member:
    """One thread of a crew: its hand, its inbox of one, and the job it has."""

    __slots__ = ("hand", "inbox", "is_calling", "job")

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        # SimpleQueue.get() blocks in the operating system: an idle thread never wakes.
        self.inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.job: Job | None = None
        self.is_calling = False


class Crew:
    """Daemon threads, started on demand, kept for later calls.

    Args:
        name: prefix of the names of the threads.
        limit: the most threads at once; further jobs wait in line. None: no limit.
        hand: makes the hand of a new thread.
    """

    def __init__(self, name: str, limit: int | None, hand: Callable[[], Hand]) -> None:
        self._name = name
        self._limit = limit
        self._hand = hand
        self.reset()

    def reset(self) -> None:
        """Start empty: when new, and in a forked child, where the threads do not exist."""
        for member in getattr(self, "_members", ()):
            member.hand.forget()
        # Reentrant: the garbage collector may close a crew inside its own critical section.
        self._lock = threading.RLock()
        self._members: set[Member] = set()
        self._idle: list[Member] = []
        self._waiting: deque[Job] = deque()

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Make the call in a thread of the crew; cancellation returns at once."""
        job = Job(function, args)
        self._submit(job)
        try:
            return await job.result()
        except BaseException:
            self._drop(job)  # a no-op unless the call is still under way
            raise

    def close(self) -> None:
        """End idle threads, stop the calls under way, cancel the jobs in line; the next job starts anew."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            idle, self._idle = self._idle, []
            members, self._members = self._members, set()
            for member in idle:
                member.inbox.put(None)
            for member in members:
                if member.job is not None:
                    member.job.is_closed = True
                    if member.is_calling:
                        member.hand.stop()
        for job in waiting:
            job.finish(None, _closed(job))

    def __repr__(self) -> str:
        with self._lock:
            return f"{len(self._members)} started, {len(self._idle)} idle, {len(self._waiting)} in line"

    def _submit(self, job: Job) -> None:
        with self._lock:
            if self._idle:
                self._assign(self._idle.pop(), job)
            elif self._limit is None or len(self._members) < self._limit:
                self._hire(job)
            else:
                self._waiting.append(job)

    def _hire(self, job: Job) -> None:
        member = Member(self._hand())
        thread = threading.Thread(target=self._work, args=(member,), name=f"{self._name}-thread", daemon=True)
        thread.start()
        self._members.add(member)
        self._assign(member, job)

    def _assign(self, member: Member, job: Job) -> None:
        member.job = job
        job.member = member
        member.inbox.put(job)

    def _drop(self, job: Job) -> None:
        with self._lock:
            job.is_dropped = True
            member = job.member
            if member is None:
                if job in self._waiting:
                    self._waiting.remove(job)
            elif member.job is job and member.is_calling and not member.hand.stop():
                self._members.discard(member)
                if self._waiting:
                    self._hire(self._waiting.popleft())

    def _work(self, member: Member) -> None:
        while (job := member.inbox.get()) is not None:
            value, error = self._call(member, job)
            # Free before the reply is on its way: what the reply sets off must find this thread idle.
            self._free(member)
            job.finish(value, error)
            del job, value, error  # an idle thread holds nobody's items
            member.hand.rest()
        member.hand.release()

    def _call(self, member: Member, job: Job) -> tuple[Any, BaseException | None]:
        with self._lock:
            if job.is_dropped:
                return None, None
            if job.is_closed:
                return None, _closed(job)
            member.is_calling = True
        try:
            return member.hand.call(job), None
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the waiting caller
            return None, _reason(job, error)

    def _free(self, member: Member) -> None:
        with self._lock:
            member.job = None
            member.is_calling = False
            if member in self._members and self._waiting:
                self._assign(member, self._waiting.popleft())
                return
            self._idle.insert(len(self._idle) if member.hand.is_ready else 0, member)
            # Checked after the insert: a collector that closes the crew in between has not seen it.
            if member not in self._members:
                if member in self._idle:
                    self._idle.remove(member)
                member.inbox.put(None)


def after_fork(method: Callable[[], None]) -> None:
    """Call the bound *method* in every child forked from now on, as long as its object lives."""
    if hasattr(os, "register_at_fork"):
        weak = weakref.WeakMethod(method)

        def call() -> None:
            if (alive := weak()) is not None:
                alive()

        os.register_at_fork(after_in_child=call)


def _reason(job: Job, error: BaseException) -> BaseException:
    """Return why *job* failed with *error*: the close, if that was what ended it."""
    if job.is_closed and isinstance(error, WorkerDied | asyncio.CancelledError):
        return _closed(job)
    return error


def _closed(job: Job) -> BatchCancelled:
    return BatchCancelled(f"the executor was closed before {name_of(job.function)} ended")
