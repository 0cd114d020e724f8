"""What ``@batch`` returns: one handler, and every way to call it from Python."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from asyncio import _get_running_loop
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable, Iterable
from dataclasses import replace
from threading import get_ident
from typing import Any, Generic, Literal, TypeVar, overload

from gristmill.batching import snapshot
from gristmill.batching.batch import Mark, Waiter
from gristmill.batching.batcher import Batcher
from gristmill.batching.direct import Direct
from gristmill.batching.executors.inline import Inline
from gristmill.batching.exits import staying
from gristmill.batching.feed import Feed
from gristmill.batching.frame import Frame, current_frame
from gristmill.batching.gathering import Gathering
from gristmill.batching.inbox import Submitted
from gristmill.batching.loops import ASKING_IS_CHEAP, Desk, Loops
from gristmill.batching.recipe import Recipe
from gristmill.batching.reply import Settled
from gristmill.batching.signature import Signature, item_and_result
from gristmill.batching.sorting import Sorter
from gristmill.batching.ticket import Ticket
from gristmill.errors import BlockingCall, ManyFailed
from gristmill.model.limits import Limits
from gristmill.model.outcome import Failed, Ok, Outcome, failed_from
from gristmill.model.sizing import Adaptive
from gristmill.model.stats import Stats

T = TypeVar("T")
R = TypeVar("R")


class BatchHandler(Generic[T, R]):
    """A batch handler: a function of a list, called with single items, lists or streams.

    Made by ``@batch``. Its state is kept for each running event loop, made by
    the first call there, so one handler at module level serves several
    ``asyncio.run`` in a row, every loop of a test suite, and threads.

    Attributes:
        name: Names it in routes, metrics, logs and errors.
        func: The plain function, for tests and direct calls.
        limits: Its options.
    """

    def __init__(self, recipe: Recipe, signature: Signature) -> None:
        self.name = recipe.name
        self.func: Callable[..., Any] = recipe.call.function
        self.limits: Limits = recipe.limits
        self.__doc__ = signature.function.__doc__
        self.__name__ = getattr(signature.function, "__name__", recipe.name)
        self.__qualname__ = getattr(signature.function, "__qualname__", recipe.name)
        self.__module__ = getattr(signature.function, "__module__", __name__)
        self._recipe = recipe
        self._signature = signature
        self._loops = Loops(recipe, self._admit_from_thread)
        self._sorter = Sorter(recipe.limits, takes_context=recipe.call.takes_context)
        self._is_plain = not recipe.is_marked
        self._types: tuple[Any, Any] | None = None

    def __repr__(self) -> str:
        """Show the name and what it holds."""
        held = ", ".join(repr(desk.batcher) for desk in self._loops.all())
        return f"<BatchHandler {self.name}: {held or 'not called yet'}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Travel by name, as functions do; a method's handler as its instance and name."""
        owner = getattr(self.func, "__self__", None)
        return self.__qualname__ if owner is None else (getattr, (owner, self.__name__))

    # -- what it is

    @property
    def description(self) -> str:
        """The handler's docstring; empty without one."""
        return self.__doc__ or ""

    @property
    def item_type(self) -> Any:
        """The type of one item, from ``list[T]`` in the annotation; ``Any`` without one.

        Raises:
            ConfigurationError: The annotation names something that cannot be found.
        """
        return self._read_types()[0]

    @property
    def result_type(self) -> Any:
        """The type of one result, without ``Failed`` and exceptions; raises as ``item_type``."""
        return self._read_types()[1]

    @property
    def is_columnar(self) -> bool:
        """Whether its function takes and returns columns: its parameter is a ``pyarrow.RecordBatch``."""
        return self._signature.is_columnar

    @property
    def takes_context(self) -> bool:
        """Whether its function gets a ``BatchContext``, too."""
        return self._signature.takes_context

    def _read_types(self) -> tuple[Any, Any]:
        if self._types is None:
            self._types = item_and_result(self._signature)
        return self._types

    # -- one item

    def __call__(self, item: T) -> asyncio.Future[R]:
        """Enqueue *item* now and return the future of its own answer.

        A plain function: the item stands in line when the call returns, also
        without an ``await``. Cancelling the future drops this item alone.

        Raises:
            QueueFull: ``max_pending`` items wait already.
            ItemTooHeavy: It weighs more than ``max_weight``.
            BatcherClosed: The handler was closed on this loop.
            RuntimeError: No event loop runs in this thread; use ``run`` or ``submit``.
        """
        desk = self._loops.last
        waiter: asyncio.Future[R]
        # As ``_here`` and ``is_here``, written out: a call of a function is a tenth of this one.
        if (
            self._is_plain
            and desk is not None
            and current_frame.get() is None
            and (
                _get_running_loop() is desk.loop
                if ASKING_IS_CHEAP
                else desk.thread == get_ident() and desk.loop.is_running()
            )
        ):
            waiter = desk.create_future()
            desk.batcher.admit(item, waiter)
            return waiter
        batcher = self._here()
        waiter = batcher.loop.create_future()
        if self._is_plain:
            batcher.admit(item, waiter)
        else:
            batcher.admit_marked(item, waiter, *self._sorter.sort(item))
        return waiter

    def ticket(self, item: T) -> Ticket[R]:
        """Call with *item* and return a future that also knows its batch; raises as a call does."""
        batcher = self._here()
        waiter: Ticket[R] = Ticket.of(batcher)
        if self._is_plain:
            batcher.admit(item, waiter)
        else:
            batcher.admit_marked(item, waiter, *self._sorter.sort(item))
        return waiter

    def admit(self, item: T, waiter: Waiter) -> Batcher:
        """Let *waiter* wait for the answer to *item*, and return the batcher that will give it.

        For servers that need no future: *waiter* is told within the loop turn
        in which the batch ends, while ``settling`` of the batcher is that
        batch. Raises as a call does.
        """
        batcher = self._here()
        if self._is_plain:
            batcher.admit(item, waiter)
        else:
            batcher.admit_marked(item, waiter, *self._sorter.sort(item))
        return batcher

    def _here(self) -> Batcher:
        """Return the batcher of the running loop, for the code that calls."""
        desk = self._loops.last
        frame = current_frame.get()
        if frame is None and desk is not None and desk.is_here():
            return desk.batcher
        return self._batcher(asyncio.get_running_loop(), frame)

    def _batcher(self, loop: asyncio.AbstractEventLoop, frame: Frame | None) -> Batcher:
        own = None if frame is None else frame.find(self._recipe)
        batcher = self._loops.open(loop).batcher if own is None else self._nested(own, loop)
        if frame is not None and not frame.is_over:
            batcher.note_caller(frame)
        return batcher

    def _nested(self, frame: Frame, loop: asyncio.AbstractEventLoop) -> Batcher:
        """Return the batcher of calls that the handler makes to itself: it has slots without limit."""
        nested = frame.nested
        if not isinstance(nested, Batcher) or nested.loop is not loop:
            nested = frame.nested = Batcher(self._recipe, loop, frame)
        return nested

    # -- many items

    @overload
    async def many(self, items: Iterable[T], *, return_exceptions: Literal[False] = False) -> list[R]: ...
    @overload
    async def many(self, items: Iterable[T], *, return_exceptions: bool) -> list[R | Exception]: ...

    async def many(self, items: Iterable[T], *, return_exceptions: bool = False) -> list[Any]:
        """Return one value for each of *items*, in their order.

        The list goes by the list, in as many batches as it needs, side by
        side with everybody else's calls; it waits for room where there is
        none. Cancelling drops the items that are in no batch yet.

        Args:
            items: Taken as they are; an empty one makes no call.
            return_exceptions: Put an item's exception in the place of its value.

        Raises:
            ManyFailed: Some items failed; ``errors`` says which and why,
                ``values`` holds what the others gave.
            ItemTooHeavy: No batch can hold one of them; none was taken.
            BatcherClosed: The handler was closed on this loop.
        """
        settled = await self.settle(items)
        if settled.errors and not return_exceptions:
            raise ManyFailed(settled.errors, settled.values)
        for index, error in settled.errors.items():
            settled.values[index] = error
        return settled.values

    async def outcomes(self, items: Iterable[T], *, wait: bool = True) -> list[Ok[R] | Failed]:
        """Return the outcome of each of *items*, in their order; no item's failure is raised.

        Args:
            items: As for ``many``.
            wait: False raises ``QueueFull`` at once where there is no room.
        """
        settled = await self.settle(items, wait=wait)
        found: list[Ok[R] | Failed] = [Ok(value) for value in settled.values]
        for index, error in settled.errors.items():
            found[index] = failed_from(error)
        return found

    async def settle(self, items: Iterable[T], *, wait: bool = True) -> Settled:
        """Return the answers to *items* as plain lists: what ``many`` and ``outcomes`` are made of."""
        batcher = self._here()
        listed = list(items)
        if not listed:
            return Settled([], {})
        keys, marks = (None, None) if self._is_plain else self._sorter.sort_all(listed)
        gathering = Gathering(batcher, listed)
        await gathering.run(keys, marks, wait=wait)
        return Settled(gathering.values, gathering.errors)

    async def run_batch(
        self, items: list[T], *, attempt: int = 1, transaction: Any = None, bisect: bool | None = None
    ) -> Settled:
        """Run *items* as one batch of its own, past the buffer and its limits; what the queue does.

        Its ``timeout`` and ``on_error`` hold, ``retry``, ``key`` and ``dedupe`` do not.

        Args:
            items: All of one batch; should be no more than ``max_size``.
            attempt: For the handler's context.
            transaction: For the handler's context.
            bisect: Instead of ``on_error``.
        """
        direct = Direct(self._recipe, asyncio.get_running_loop(), bisect=bisect)
        return await direct.run(items, attempt=attempt, transaction=transaction)

    def inline(self, max_size: int | Adaptive | None = None) -> BatchHandler[T, R]:
        """Return a handler like this one whose function runs in the thread that calls it.

        For worker processes, which are the executor themselves. Where it calls ``sys.exit``, the batch
        fails, and the process goes on.

        Args:
            max_size: Instead of its own.
        """
        limits = self.limits if max_size is None else replace(self.limits, max_size=max_size)
        executor = None if self._signature.is_async else Inline()
        kind = type(self._recipe.call)
        function = staying(self.func, is_async=self._signature.is_async)
        call = kind(self.name, function, executor, takes_context=self._signature.takes_context)
        return BatchHandler(Recipe(call, limits, None), self._signature)

    @property
    def cap(self) -> int:
        """The most items of the next batch; moves with ``Adaptive``."""
        return self._recipe.cap

    @property
    def slots(self) -> int:
        """Batches that may run at once on one event loop."""
        return self._recipe.slots

    @overload
    def stream(
        self, source: Iterable[T] | AsyncIterable[T], *, ordered: Literal[True] = True
    ) -> AsyncIterator[Outcome[R]]: ...
    @overload
    def stream(
        self, source: Iterable[T] | AsyncIterable[T], *, ordered: Literal[False]
    ) -> AsyncIterator[tuple[int, Outcome[R]]]: ...

    async def stream(
        self, source: Iterable[T] | AsyncIterable[T], *, ordered: bool = True
    ) -> AsyncIterator[Any]:
        """Yield the outcome of each item of *source*.

        The source is pulled no further ahead than batches need, and waits
        while outcomes are not taken: memory stays flat however long it is.

        Args:
            source: Any iterable or async iterable; it is closed at the end.
            ordered: Yield in the order of the source; else ``(index, outcome)``
                as they come.

        Raises:
            Exception: What the source raised, after the outcomes of all before.
        """
        batcher = self._here()
        feed = Feed(batcher, self._sort_one)
        async with contextlib.aclosing(feed.answers(source, ordered=ordered)) as answers:
            async for index, value, error in answers:
                outcome: Outcome[R] = Ok(value) if error is None else failed_from(error)
                yield outcome if ordered else (index, outcome)

    def sort_error(self, item: T) -> Exception | None:
        """Return what ``key``, ``weigh`` or ``dedupe`` raise for *item*; None if they take it.

        Asks them once more: for servers, where one such item of a list must not fail the others.
        """
        try:
            self._sort_one(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this item's
            return error
        return None

    def _sort_one(self, item: T) -> tuple[Hashable, Mark | None]:
        return (None, None) if self._is_plain else self._sorter.sort(item)

    # -- from threads and sync code

    def submit(self, item: T) -> concurrent.futures.Future[R]:
        """Call with *item* from any thread, and return a future to wait on.

        It goes to the event loop that called last and still runs, else to one
        in a thread of its own, started for this. ``QueueFull`` and
        ``BatcherClosed`` come through the future.
        """
        desk = self._desk_for_threads()
        waiter: Submitted[R] = Submitted(desk.loop)
        frame = current_frame.get()
        desk.inbox.put(waiter, (frame, item, *self._sort_one(item)))
        return waiter

    def _desk_for_threads(self) -> Desk:
        try:
            return self._loops.open(asyncio.get_running_loop())
        except RuntimeError:
            return self._loops.elsewhere()

    def _admit_from_thread(
        self, waiter: Submitted[R], frame: Frame | None, item: T, key: Hashable, mark: Mark | None
    ) -> None:
        batcher = self._batcher(asyncio.get_running_loop(), frame)
        if mark is None:
            batcher.admit(item, waiter)
        else:
            batcher.admit_marked(item, waiter, key, mark)

    def run(self, item: T) -> R:
        """Call with *item* from synchronous code and wait for its value.

        Raises:
            BlockingCall: An event loop runs in this thread, and would be blocked.
            BatchError: The item failed.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self.submit(item).result()
        raise BlockingCall(
            f"{self.name}.run() would block the running event loop; await {self.name}(item) instead"
        )

    # -- the end

    def drain(self) -> None:
        """Take no more items on this loop; what waits is dispatched without linger."""
        self._loops.open(asyncio.get_running_loop()).batcher.drain()

    async def aclose(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Close the handler on this loop; calls raise ``BatcherClosed`` from now on. Idempotent.

        Args:
            drain: Answer what is pending first; else it fails with ``BatcherClosed``.
            timeout: Seconds to wait for that; what is left then fails with
                ``BatcherClosed``, and its handler calls are cancelled. None
                waits as long as it takes.
        """
        batcher = self._loops.open(asyncio.get_running_loop()).batcher
        batcher.drain()
        if not drain or not await batcher.idle(timeout):
            batcher.abort()

    async def __aenter__(self) -> BatchHandler[T, R]:
        """Return the handler; leaving the block closes it."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Answer what is pending, and close."""
        await self.aclose()

    def stats(self) -> Stats:
        """Return the counts so far and the gauges of now, over all event loops."""
        return snapshot.take(self._recipe, [desk.batcher for desk in self._loops.all()])
