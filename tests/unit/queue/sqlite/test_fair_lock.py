from __future__ import annotations

import asyncio
import threading

import pytest

from gristmill.queue.sqlite.fair_lock import FairLock


async def test_it_is_handed_on_in_the_order_in_which_it_was_asked_for():
    lock, order = FairLock(), []

    async def hold(name):
        async with lock.held_by_task():
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(hold(name) for name in range(5)))
    assert order == list(range(5))


async def test_a_thread_that_takes_it_again_and_again_lets_a_task_between():
    lock, ends = FairLock(), threading.Event()
    taken = threading.Event()

    def take():
        while not ends.is_set():
            with lock.held(10):
                taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    await asyncio.to_thread(taken.wait)
    for _ in range(20):
        async with lock.held_by_task():
            pass
    ends.set()
    thread.join()


async def test_a_thread_gives_up_when_its_time_is_over():
    lock = FairLock()

    def take():
        with pytest.raises(TimeoutError), lock.held(0.01):
            pass

    async with lock.held_by_task():
        await asyncio.to_thread(take)
    with lock.held(0):
        pass


async def test_a_cancelled_task_leaves_the_line():
    lock = FairLock()

    async def hold():
        async with lock.held_by_task():
            pass

    with lock.held(0):
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    with lock.held(0):
        pass


async def test_a_task_that_is_cancelled_as_its_turn_comes_passes_it_on():
    lock = FairLock()

    async def hold():
        async with lock.held_by_task():
            pytest.fail("it was cancelled")

    with lock.held(0):
        waiting = asyncio.create_task(hold())
        await asyncio.sleep(0)
    waiting.cancel()  # the lock is its own already, but it has not heard of it
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with lock.held(0):
        pass


async def test_it_is_free_again_after_an_error():
    lock = FairLock()
    with pytest.raises(ZeroDivisionError):
        async with lock.held_by_task():
            1 / 0  # noqa: B018 - to raise
    with lock.held(0):
        pass
