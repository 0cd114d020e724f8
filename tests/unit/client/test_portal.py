"""From synchronous code to a loop and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gristmill.client.portal import Portal
from gristmill.errors import BlockingCall


async def numbers(count: int, closed: list[bool]) -> AsyncIterator[int]:
    try:
        for index in range(count):
            yield index
            if index % 7 == 0:
                await asyncio.sleep(0)
    finally:
        closed.append(True)


def test_all_comes_in_order_and_the_end_closes_the_source() -> None:
    closed: list[bool] = []
    assert list(Portal().iterate(numbers(5000, closed))) == list(range(5000))
    assert closed == [True]


def test_leaving_early_closes_the_source() -> None:
    closed: list[bool] = []
    taken = Portal().iterate(numbers(1_000_000, closed))
    assert next(taken) == 0
    taken.close()  # type: ignore[attr-defined]  # it is a generator
    assert closed == [True]


def test_a_source_is_not_read_far_ahead() -> None:
    read = 0

    async def endless() -> AsyncIterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    async def turns() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    portal = Portal()
    taken = portal.iterate(endless())
    assert next(taken) == 1
    portal.run(turns())
    assert read <= 2 * 1024 + 2
    taken.close()  # type: ignore[attr-defined]  # it is a generator


def test_what_the_source_raises_comes_after_all_before() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise LookupError("broke")

    taken = Portal().iterate(broken())
    found = [next(taken), next(taken)]
    with pytest.raises(LookupError, match="broke"):
        next(taken)
    assert found == [1, 2]


async def test_a_running_loop_is_not_blocked() -> None:
    with pytest.raises(BlockingCall, match="use Client"):
        Portal().run(asyncio.sleep(0))
