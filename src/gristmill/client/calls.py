"""Every way to call a handler that is elsewhere, from Python."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any, Generic, Literal, TypeVar, overload

from gristmill.batching.decorator import batch
from gristmill.batching.handler import BatchHandler
from gristmill.client.formats import Format
from gristmill.client.pace import Pace
from gristmill.client.posting import Posting, Route
from gristmill.client.refusals import may_retry
from gristmill.client.sealed import Sealed
from gristmill.client.sending import Sender
from gristmill.errors import ManyFailed
from gristmill.model.outcome import Outcome
from gristmill.model.retry import Retry
from gristmill.model.stats import Stats

T = TypeVar("T")
R = TypeVar("R")

_YIELD_EVERY = 100  # items of a source that never waits, between two turns of the loop


class Calls(Generic[T, R]):
    """Calls of one route: single ones meet in batches, as with a handler in this process.

    It is a batch handler whose function posts one batch: what ``BatchHandler`` promises of order, room,
    cancelling and answers holds here.

    Args:
        name: Names it in logs and errors.
        sender: Sends the requests.
        format: Of their bodies.
        route: Where they go.
        max_size: Items of a request at most.
        max_wait: Seconds that a request lingers for more items.
        concurrency: Requests in flight at once.
        max_pending: Single calls that may wait for their answers.
    """

    def __init__(
        self,
        name: str,
        sender: Sender,
        format: Format,
        route: Route,
        *,
        max_size: int,
        max_wait: float,
        concurrency: int,
        max_pending: int = 10_000,
    ) -> None:
        self.name = name
        self._sender = sender
        self._format = format
        self._route = route
        self._timeout = route.timeout
        self._options: dict[str, Any] = {
            "name": name,
            "max_size": max_size,
            "max_wait": max_wait,
            "concurrency": concurrency,
            "max_pending": max_pending,
            "timeout": route.timeout,
            "retry": Retry(
                attempts=sender.retry.attempts,
                base=sender.retry.base,
                cap=sender.retry.cap,
                factor=sender.retry.factor,
                on=self._may_retry,
            ),
        }
        self._handler = self._made()

    def _made(self, **other: Any) -> BatchHandler[Sealed, R]:
        posting = Posting(self._sender, self._format, self._route)
        made: BatchHandler[Sealed, R] = batch(**{**self._options, **other})(posting.post)
        return made

    def _may_retry(self, error: Exception) -> bool:
        now = asyncio.get_running_loop().time()
        return may_retry(error, idempotent=self._route.idempotent) and self._sender.tokens.has_one(now)

    # -- one item

    def __call__(self, item: T) -> asyncio.Future[R]:
        """Enqueue *item* now and return the future of its own answer, as a ``BatchHandler`` does.

        Raises:
            QueueFull: ``max_pending`` items wait already.
            BatcherClosed: The client was closed.
        """
        sealed = self._format.seal(item)
        waiter = self._handler(sealed)
        if self._timeout is not None:
            sealed.deadline = waiter.get_loop().time() + self._timeout
        return waiter

    # -- many items

    @overload
    async def many(self, items: Iterable[T], *, return_exceptions: Literal[False] = False) -> list[R]: ...
    @overload
    async def many(self, items: Iterable[T], *, return_exceptions: bool) -> list[R | Exception]: ...

    async def many(self, items: Iterable[T], *, return_exceptions: bool = False) -> list[Any]:
        """Return one value for each of *items*, in their order; in as many requests as they need.

        The timeout counts from the first request of an item.

        Args:
            items: Taken as they are; an empty one makes no request.
            return_exceptions: Put an item's exception in the place of its value.

        Raises:
            ManyFailed: Some items failed; ``errors`` says which and why, ``values`` holds the values.
            BatcherClosed: The client was closed.
        """
        settled = await self._handler.settle(map(self._format.seal, items))
        if settled.errors and not return_exceptions:
            raise ManyFailed(settled.errors, settled.values)
        for index, error in settled.errors.items():
            settled.values[index] = error
        return settled.values

    async def outcomes(self, items: Iterable[T]) -> list[Outcome[R]]:
        """Return the outcome of each of *items*, in their order; no item's failure is raised."""
        return await self._handler.outcomes(map(self._format.seal, items))

    @overload
    def map(
        self,
        source: Iterable[T] | AsyncIterable[T],
        *,
        ordered: Literal[True] = True,
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> AsyncIterator[Outcome[R]]: ...
    @overload
    def map(
        self,
        source: Iterable[T] | AsyncIterable[T],
        *,
        ordered: Literal[False],
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> AsyncIterator[tuple[int, Outcome[R]]]: ...

    async def map(
        self,
        source: Iterable[T] | AsyncIterable[T],
        *,
        ordered: bool = True,
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> AsyncIterator[Any]:
        """Yield the outcome of each item of *source*, which may be of any length.

        It is read no further ahead than the requests in flight need, and waits while outcomes are not
        taken: memory stays flat. Leaving the loop drops what is in no request yet, and closes *source*.

        Args:
            source: Any iterable or async iterable.
            ordered: Yield in the order of the source; else ``(index, outcome)`` as they come.
            concurrency: Requests in flight at once; by default that of the handler.
            rate: Items a second at most.
            batch_size: Items of a request; by default ``max_size`` of the handler.

        Raises:
            Exception: What the source raised, after the outcomes of all before.
            BatcherClosed: The client was closed.
            ConfigurationError: An option cannot work.
        """
        other: dict[str, Any] = {} if concurrency is None else {"concurrency": concurrency}
        if batch_size is not None:
            other["max_size"] = batch_size
        handler = self._made(**other)
        pace = None if rate is None else Pace(rate, asyncio.get_running_loop().time())
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(handler.aclose, drain=False)
            sealed = await stack.enter_async_context(contextlib.aclosing(self._from(source, pace)))
            stream: Any = handler.stream(sealed, ordered=ordered)  # type: ignore[call-overload]  # either way
            async for outcome in await stack.enter_async_context(contextlib.aclosing(stream)):
                yield outcome

    async def _from(
        self, source: Iterable[T] | AsyncIterable[T], pace: Pace | None
    ) -> AsyncGenerator[Sealed, None]:
        """Yield the items of *source* as they go out, and close it at the end."""
        loop = asyncio.get_running_loop()
        async with contextlib.aclosing(_read(source)) as items:
            async for item in items:
                wait = 0.0 if pace is None else pace.wait(loop.time())
                if wait:
                    await asyncio.sleep(wait)
                self._sender.check_open()  # else a source without end would fail item by item, for ever
                yield self._format.seal(item)

    # -- the end

    async def aclose(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Close it; what waits is answered first, unless *drain* is false. Idempotent."""
        await self._handler.aclose(drain=drain, timeout=timeout)

    def stats(self) -> Stats:
        """Return the counts so far: items, requests, their sizes and times."""
        return self._handler.stats()


async def _read(source: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield what *source* yields, and close it at the end."""
    if isinstance(source, AsyncIterable):
        iterator = source.__aiter__()
        try:
            async for item in iterator:
                yield item
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()
        return
    plain = iter(source)
    try:
        for count, item in enumerate(plain, start=1):
            yield item
            if not count % _YIELD_EVERY:
                await asyncio.sleep(0)  # a source that never waits must not keep the loop from its requests
    finally:
        if inspect.isgenerator(plain):
            plain.close()
