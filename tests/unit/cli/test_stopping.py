from __future__ import annotations

import asyncio
import signal

import pytest

from gristmill.cli.stopping import StopSignals, unless


async def test_the_first_signal_asks_and_the_second_insists() -> None:
    now = 0.0
    signals = StopSignals(lambda: now)
    with signals.listening():
        signal.raise_signal(signal.SIGTERM)
        await signals.asked.wait()
        assert not signals.insisted.is_set()
        now = 1.0
        signal.raise_signal(signal.SIGINT)
        await signals.insisted.wait()


async def test_a_signal_that_comes_twice_at_once_is_one() -> None:
    signals = StopSignals(lambda: 0.0)
    with signals.listening():
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        await signals.asked.wait()
        await asyncio.sleep(0)
        assert not signals.insisted.is_set()


async def test_signals_are_handled_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with StopSignals().listening():
        assert signal.getsignal(signal.SIGTERM) is not before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_work_is_returned_or_cancelled_by_the_event() -> None:
    async def seven() -> int:
        return 7

    async def for_ever() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    ended, event = asyncio.Event(), asyncio.Event()
    assert await unless(event, seven()) == 7
    event.set()
    assert await unless(event, for_ever()) is None


async def test_what_work_raises_is_raised() -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless(asyncio.Event(), fails())
