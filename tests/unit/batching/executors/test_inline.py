from __future__ import annotations

import asyncio
import threading

import pytest

from gristmill.batching.executors import Inline


async def doubled(items: list[int]) -> list[int]:
    await asyncio.sleep(0)
    return [item * 2 for item in items]


async def test_an_async_function_is_awaited():
    assert await Inline().run(doubled, ([1, 2],)) == [2, 4]


async def test_a_plain_function_is_called_on_the_loop():
    thread = await Inline().run(threading.current_thread, ())
    assert thread is threading.current_thread()


async def test_what_the_function_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        await Inline().run(divmod, (1, 0))


def test_it_leaves_the_slots_to_the_handler():
    executor = Inline()
    executor.close()
    assert executor.slots is None
