"""Sources that block, read in a thread."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gristmill.client.off_the_loop import off_the_loop


async def test_a_source_is_read_in_another_thread_and_closed() -> None:
    seen: set[int] = set()
    closed: list[bool] = []

    def source() -> Iterator[int]:
        try:
            for index in range(250):
                seen.add(threading.get_ident())
                yield index
        finally:
            closed.append(True)

    assert [each async for each in off_the_loop(source())] == list(range(250))
    assert threading.get_ident() not in seen
    assert closed == [True]


async def test_an_item_does_not_wait_for_the_next() -> None:
    line: queue.Queue[int | None] = queue.Queue()
    line.put(1)
    found = off_the_loop(iter(line.get, None))
    async with asyncio.timeout(30):
        assert await anext(found) == 1
        line.put(2)
        assert await anext(found) == 2
        line.put(None)
        assert [each async for each in found] == []


@pytest.mark.parametrize("count", [0, 4, 250])
async def test_what_the_source_raises_comes_after_all_before(count: int) -> None:
    def source() -> Iterator[int]:
        yield from range(count)
        raise LookupError("broke")

    taken = off_the_loop(source())
    found = [await anext(taken) for _ in range(count)]
    with pytest.raises(LookupError, match="broke"):
        await anext(taken)
    assert found == list(range(count))


async def test_a_source_that_ends_the_program_does_not_end_the_loop() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise SystemExit(3)

    found = off_the_loop(source())
    assert await anext(found) == 1
    with pytest.raises(RuntimeError, match="SystemExit"):
        await anext(found)


async def test_it_reads_no_further_than_a_little_ahead_and_is_closed_when_left() -> None:
    read = 0
    closed = threading.Event()

    def source() -> Iterator[int]:
        nonlocal read
        try:
            while True:
                read += 1
                yield read
        finally:
            closed.set()

    found = off_the_loop(source())
    assert await anext(found) == 1
    await found.aclose()
    assert await asyncio.to_thread(closed.wait, 30)
    assert read < 1000


async def test_what_is_no_source_is_told() -> None:
    wrong: Any = 5
    with pytest.raises(TypeError, match="iterable"):
        await anext(off_the_loop(wrong))
