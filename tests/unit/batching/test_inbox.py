"""Calls that other threads put down for a loop that ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gristmill.batching.inbox import Inbox, Submitted
from gristmill.errors import BatcherClosed


class ClosedLoop(asyncio.SelectorEventLoop):
    """Closed; somebody else puts a call down while it is asked to wake."""

    def __init__(self) -> None:
        super().__init__()
        self.close()
        self.meanwhile: Callable[[], Any] = list

    def call_soon_threadsafe(self, *_args: Any, **_options: Any) -> Any:
        self.meanwhile()
        raise RuntimeError("Event loop is closed")


def test_who_came_while_the_loop_was_found_closed_is_told_so() -> None:
    loop = ClosedLoop()
    inbox = Inbox(loop, print)
    first, second = Submitted[int](loop), Submitted[int](loop)
    loop.meanwhile = lambda: inbox.put(second, (2,))
    with pytest.raises(BatcherClosed) as caught:
        inbox.put(first, (1,))
    assert second.done()
    error = second.exception(0)
    assert isinstance(error, BatcherClosed)
    assert error is not caught.value


def test_the_refused_get_an_exception_each_and_the_cancelled_none() -> None:
    loop = asyncio.new_event_loop()
    inbox = Inbox(loop, print)
    waiters = [Submitted[int](loop) for _ in range(3)]
    for waiter in waiters:
        inbox.put(waiter, ())
    waiters[1].cancel()
    inbox.refuse_all(BatcherClosed("over"))
    loop.close()
    assert waiters[1].cancelled()
    first, last = (waiters[at].exception(0) for at in (0, 2))
    assert isinstance(first, BatcherClosed)
    assert isinstance(last, BatcherClosed)
    assert first is not last
