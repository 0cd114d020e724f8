"""Handler calls in a worker with columns: slices of a chunk, one after another, halved where one raises."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from gristmill.batching.columnar import checked, without_failed
from gristmill.batching.context import BatchContext
from gristmill.batching.exits import staying
from gristmill.batching.handler import BatchHandler
from gristmill.batching.reply import whole_batch
from gristmill.errors import DeadlineExceeded, ReplyMismatch
from gristmill.model.flush import FlushReason
from gristmill.model.limits import Limits
from gristmill.model.outcome import Failed, failed_from
from gristmill.model.sizing import Adaptive
from gristmill.streams.engines.protocol import Marker

LARGEST = 131_072
"""Rows of a handler call at most, unless more are asked for."""
_FIRST = 8192
"""Rows of the first call where nobody says how many: a slow handler should not run into its timeout."""
_GROWTH = 4
_TARGET = 1.0
"""Seconds of one handler call that automatic sizes aim at."""
_NOT_HALVED = (ConnectionError, MemoryError, ReplyMismatch, DeadlineExceeded)
_USUAL_SIZE = next(each.default for each in fields(Limits) if each.name == "max_size")


def _wanted(handler: BatchHandler[Any, Any], batch_size: int | str | None) -> Adaptive | int | None:
    """Return the rows of a call; None where nobody said."""
    if batch_size == "auto":
        return Adaptive(target_latency=_TARGET, max_size=LARGEST)
    if isinstance(batch_size, int):
        return batch_size
    said = handler.limits.max_size
    return None if said == _USUAL_SIZE else said


def largest_call(handler: BatchHandler[Any, Any], batch_size: int | str | None) -> int:
    """Return how many rows a call of *handler* has at most; *batch_size* as ``ColumnCaller`` takes it."""
    wanted = _wanted(handler, batch_size)
    return wanted if isinstance(wanted, int) else LARGEST


@dataclass(frozen=True, slots=True)
class Reply:
    """What the handler said to some rows.

    Attributes:
        first: Index of the first of them.
        asked: How many it got.
        batch: The result without the rows that failed.
        failed: Index among all rows -> why it failed.
    """

    first: int
    asked: int
    batch: Any
    failed: dict[int, Failed]


@dataclass(slots=True)
class Called:
    """What the handler said to a chunk.

    Attributes:
        replies: In the order of the rows, each row in one.
        attempts: Index of a row that failed -> how often the handler saw it, where that is not once.
        batches: Handler calls.
        seconds: Spent in them.
        batch_size: Of the last.
    """

    replies: list[Reply] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    batches: int = 0
    seconds: float = 0.0
    batch_size: int = 0

    def failures(self) -> Iterator[tuple[int, Failed]]:
        """Yield the index of each row that failed, and why."""
        for reply in self.replies:
            yield from reply.failed.items()

    def indices(self) -> list[int]:
        """Return the index of each row that has a result, in order."""
        found: list[int] = []
        for reply in self.replies:
            rows = range(reply.first, reply.first + reply.asked)
            found += rows if not reply.failed else [index for index in rows if index not in reply.failed]
        return found


class ColumnCaller:
    """Calls one columnar handler.

    A batch that it raises for is tried again as the handler's ``retry`` says,
    then halved, so that only the rows it is about fail: O(k log n) calls for
    k of them, which are slices and copy nothing.

    Args:
        handler: A columnar one.
        batch_size: Rows of a call; ``"auto"`` learns it. None: the handler's own ``max_size`` where that was
            set, else as many as a chunk has, up to ``LARGEST`` where they take no more than about a second.
    """

    def __init__(self, handler: BatchHandler[Any, Any], batch_size: int | str | None) -> None:
        wanted = _wanted(handler, batch_size)
        self._sizes = wanted.controller() if isinstance(wanted, Adaptive) else None
        self._size = 0 if isinstance(wanted, Adaptive) else wanted or _FIRST
        self._is_free = wanted is None
        self._handler = handler
        is_async = inspect.iscoroutinefunction(handler.func)
        self._function = staying(handler.func, is_async=is_async)
        self._runner: asyncio.Runner | None = None
        self._number = 0

    def call(
        self,
        batch: Any,
        marker: Marker,
        limit: int | None = None,
        finished: Callable[[Any, Any], Any] | None = None,
    ) -> Called:
        """Return what the handler says to *batch*.

        Args:
            batch: All rows of a chunk.
            marker: Told which rows are with the handler.
            limit: Rows of a call at most.
            finished: Makes of what the handler got, and what it returned, what is kept.
        """
        called = Called()
        at = 0
        while at < batch.num_rows:
            size = self._size if self._sizes is None else self._sizes.cap
            size = min(size, limit or size, batch.num_rows - at)
            before = called.seconds
            self._some(batch, at, size, marker=marker, called=called, finished=finished)
            if self._is_free:
                self._learn(called.seconds - before)
            at += size
        return called

    def _learn(self, seconds: float) -> None:
        """Let calls be larger while they take little of the time that a call should."""
        if seconds < _TARGET / _GROWTH:
            self._size = min(LARGEST, self._size * _GROWTH)
        elif seconds > _TARGET * _GROWTH:
            self._size = max(_FIRST, self._size // _GROWTH)

    def probe(self, batch: Any) -> None:
        """Call the handler with *batch*; only whether the process lives counts."""
        with contextlib.suppress(Exception):
            self._invoke(batch, 1)

    def _some(
        self,
        batch: Any,
        first: int,
        size: int,
        *,
        marker: Marker,
        called: Called,
        finished: Callable[[Any, Any], Any] | None,
    ) -> None:
        waiting = [(first, first + size)]
        while waiting:
            start, stop = waiting.pop()
            part = batch.slice(start, stop - start)
            attempt, found = self._tried(part, called, partial(marker.running, start, stop), marker.idle)
            if isinstance(found, Exception):
                if stop - start > 1 and not isinstance(found, _NOT_HALVED):
                    middle = (start + stop) // 2
                    waiting += [(middle, stop), (start, middle)]
                    continue
                failed = failed_from(whole_batch(self._handler.name, found))
                all_failed = dict.fromkeys(range(start, stop), failed)
                called.replies.append(Reply(start, stop - start, None, all_failed))
                called.attempts.update(dict.fromkeys(range(start, stop), attempt))
                continue
            kept, failures = without_failed(found if finished is None else finished(part, found))
            their = {start + index: each for index, each in failures.items()}
            called.replies.append(Reply(start, stop - start, kept, their))

    def _tried(
        self, part: Any, called: Called, running: Callable[[], None], idle: Callable[[], None]
    ) -> tuple[int, Any]:
        """Call with *part* until that goes well or may not be tried again; return attempts and result."""
        retry = self._handler.limits.retry
        attempt = 1
        while True:
            running()
            began = time.perf_counter()
            try:
                found: Any = checked(self._handler.name, self._invoke(part, attempt), part.num_rows)
            except Exception as error:  # noqa: BLE001 - it is told of its rows
                found = error
            seconds = time.perf_counter() - began
            idle()
            called.seconds += seconds
            called.batches += 1
            called.batch_size = part.num_rows
            is_failed = isinstance(found, Exception)
            if self._sizes is not None:
                self._sizes.record(part.num_rows, seconds, full=True, failed=is_failed)
            if not is_failed or retry is None:
                return attempt, found
            if not retry.admits(whole_batch(self._handler.name, found), attempt):
                return attempt, found
            time.sleep(retry.delay(attempt, random.random()))  # noqa: S311 - jitter
            attempt += 1

    def _invoke(self, batch: Any, attempt: int) -> Any:
        arguments = [batch]
        if self._handler.takes_context:
            arguments.append(self._context(attempt))
        found = self._function(*arguments)
        if not inspect.isawaitable(found):
            return found
        if self._runner is None:
            self._runner = asyncio.Runner()
        timeout = self._handler.limits.timeout
        try:
            return self._runner.run(_within(found, timeout))
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{self._handler.name} gave no answer within its timeout of {timeout} s"
            ) from error

    def _context(self, attempt: int) -> BatchContext:
        self._number += 1
        timeout = self._handler.limits.timeout
        return BatchContext(
            name=self._handler.name,
            batch_id=f"{os.getpid():x}-{self._number}",
            attempt=attempt,
            deadline=None if timeout is None else time.monotonic() + timeout,
            reason=FlushReason.QUEUE,
        )

    def close(self) -> None:
        """End the event loop, if there is one."""
        if self._runner is not None:
            self._runner.close()


async def _within(found: Any, timeout: float | None) -> Any:
    async with asyncio.timeout(timeout):
        return await found
