from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType

import pytest

from gristmill.http.drain import Drain
from gristmill.http.problems import Refused


class Recording:
    """A handler that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def drain(self) -> None:
        self.told.append("drain")

    async def aclose(self) -> None:
        self.told.append("close")


def test_new_requests_are_refused_once_draining_has_begun() -> None:
    handler = Recording()
    drain = Drain([handler])
    drain.refuse()
    drain.begin()
    drain.begin()
    with pytest.raises(Refused) as caught:
        drain.refuse()
    found = caught.value.problem
    assert (found.status, found.code, found.retryable) == (503, "closed", True)
    assert isinstance(found.retry_after_s, int)
    assert found.retry_after_s >= 1
    assert (b"connection", b"close") in caught.value.headers
    assert handler.told == ["drain"]


def test_listeners_hear_it_while_they_listen() -> None:
    drain = Drain([])
    heard: list[str] = []
    with drain.listening(lambda: heard.append("gone")):
        pass
    with drain.listening(lambda: heard.append("here")):
        drain.begin()
    assert heard == ["here"]


async def test_the_end_of_the_lifespan_drains_and_closes() -> None:
    handler = Recording()
    async with Drain([handler]).lifespan():
        assert handler.told == []
    assert handler.told == ["drain", "close"]


async def test_an_application_may_start_again() -> None:
    drain = Drain([])
    for _ in range(2):
        async with drain.lifespan():
            drain.refuse()
        assert drain.is_draining


async def test_a_signal_begins_to_drain_and_still_reaches_the_server() -> None:
    handler = Recording()
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    def of_server(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(reached.set)

    former = signal.signal(signal.SIGTERM, of_server)
    try:
        async with Drain([handler]).lifespan():
            os.kill(os.getpid(), signal.SIGTERM)
            await reached.wait()
            assert handler.told == ["drain"]
        assert signal.getsignal(signal.SIGTERM) is of_server
    finally:
        signal.signal(signal.SIGTERM, former)


async def test_a_signal_that_nobody_handles_is_left_alone() -> None:
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        async with Drain([]).lifespan():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, former)


async def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)

    async def live() -> object:
        async with Drain([]).lifespan():
            return signal.getsignal(signal.SIGINT)

    assert await asyncio.to_thread(asyncio.run, live()) is before
