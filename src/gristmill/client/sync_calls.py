"""Calls of one route for synchronous code: a thin face on those of the event loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar, overload

from gristmill.client.calls import Calls
from gristmill.client.off_the_loop import off_the_loop
from gristmill.client.portal import Portal
from gristmill.model.outcome import Outcome

T = TypeVar("T")
R = TypeVar("R")


class SyncCalls(Generic[T, R]):
    """What ``SyncHandler`` and ``SyncBatchClient`` share.

    Args:
        calls: The same on the event loop.
        portal: The way there.
    """

    def __init__(self, calls: Calls[T, R], portal: Portal) -> None:
        self._calls = calls
        self._portal = portal

    def __call__(self, item: T) -> R:
        """Return the answer to *item*; it goes with what other threads send meanwhile.

        Raises:
            BatchError: The item failed.
            BlockingCall: An event loop runs in this thread.
        """
        return self._portal.run(self._one(item))

    async def _one(self, item: T) -> R:
        return await self._calls(item)

    def many(self, items: Iterable[T], *, return_exceptions: bool = False) -> list[Any]:
        """Return one value for each of *items*, as ``Calls.many`` does."""
        return self._portal.run(self._calls.many(list(items), return_exceptions=return_exceptions))

    def outcomes(self, items: Iterable[T]) -> list[Outcome[R]]:
        """Return the outcome of each of *items*; no item's failure is raised."""
        return self._portal.run(self._calls.outcomes(list(items)))

    @overload
    def map(
        self,
        source: Iterable[T],
        *,
        ordered: Literal[True] = True,
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Outcome[R]]: ...
    @overload
    def map(
        self,
        source: Iterable[T],
        *,
        ordered: Literal[False],
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> Iterator[tuple[int, Outcome[R]]]: ...

    def map(
        self,
        source: Iterable[T],
        *,
        ordered: bool = True,
        concurrency: int | None = None,
        rate: float | None = None,
        batch_size: int | None = None,
    ) -> Iterator[Any]:
        """Yield the outcome of each item of *source*, as ``Calls.map`` does.

        *source* is read in a thread of its own, so it may wait for a file or a database.
        """
        found: Any = self._calls.map(  # type: ignore[call-overload]  # either way
            off_the_loop(source), ordered=ordered, concurrency=concurrency, rate=rate, batch_size=batch_size
        )
        return self._portal.iterate(found)
