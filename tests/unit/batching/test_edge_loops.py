"""Event loops that come and go, and calls from other threads: edge cases 8 and 9."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import sys
import threading
from typing import Any

import pytest

from gristmill import batch
from gristmill.errors import BatcherClosed, DeadlineExceeded, HandlerFailed, QueueFull


def test_one_handler_serves_several_event_loops_in_a_row() -> None:
    @batch
    async def double(items: list[int]) -> list[int]:
        return [2 * n for n in items]

    async def main() -> list[int]:
        return await asyncio.gather(*map(double, range(3)))

    assert asyncio.run(main()) == [0, 2, 4]
    assert asyncio.run(main()) == [0, 2, 4]


def test_loops_in_several_threads_do_not_share_batches() -> None:
    barrier = threading.Barrier(2)
    seen: list[list[int]] = []

    @batch
    async def echo(items: list[int]) -> list[int]:
        seen.append(sorted(items))
        return items

    async def main(start: int) -> list[int]:
        waiters = [echo(start + n) for n in range(5)]
        barrier.wait()
        return await asyncio.gather(*waiters)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda start: asyncio.run(main(start)), (0, 100))
    assert first == [0, 1, 2, 3, 4]
    assert second == [100, 101, 102, 103, 104]
    assert sorted(seen) == [first, second]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="on 3.11 asking which loop runs is too dear")
def test_a_loop_that_has_moved_to_another_thread_is_not_the_one_here() -> None:
    @batch
    async def echo(items: list[int]) -> list[int]:
        return items

    async def call(item: int) -> int:
        async with asyncio.timeout(10):
            return await echo(item)

    moving = asyncio.new_event_loop()
    assert moving.run_until_complete(call(1)) == 1
    thread = threading.Thread(target=moving.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), moving).result()  # it runs
        assert asyncio.run(call(2)) == 2
    finally:
        moving.call_soon_threadsafe(moving.stop)
        thread.join()
        moving.close()


def test_the_end_of_a_loop_answers_other_threads() -> None:
    """A call submitted to a loop that ends gets BatcherClosed, not silence."""
    entered = threading.Event()
    submitted: list[concurrent.futures.Future[int]] = []

    @batch
    async def hangs(items: list[int]) -> list[int]:
        entered.set()
        await asyncio.get_running_loop().create_future()
        return items

    async def main() -> None:
        hangs(0).add_done_callback(lambda f: f.cancelled() or f.exception())
        await asyncio.to_thread(entered.wait)

        def from_thread() -> None:
            submitted.append(hangs.submit(1))

        await asyncio.to_thread(from_thread)

    asyncio.run(main())
    assert submitted[0].done()  # also for those who do not ask, but wait to be told
    assert isinstance(submitted[0].exception(), BatcherClosed)


def test_a_waiting_run_ends_with_its_loop() -> None:
    """Also when the loop is only closed, without the farewell of ``asyncio.run``."""

    @batch
    async def hangs(items: list[int]) -> list[int]:
        await asyncio.get_running_loop().create_future()
        return items

    loop = asyncio.new_event_loop()
    errors: list[BaseException] = []
    waiting = threading.Event()

    async def main() -> None:
        hangs(0)

        def caller() -> None:
            future = hangs.submit(1)
            waiting.set()
            try:
                future.result()
            except BatcherClosed as error:
                errors.append(error)

        thread = threading.Thread(target=caller)
        thread.start()
        await asyncio.to_thread(waiting.wait)
        threads.append(thread)

    threads: list[threading.Thread] = []
    loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    threads[0].join(timeout=10)
    assert [type(e) for e in errors] == [BatcherClosed]


def test_a_loop_closed_under_a_running_batch_makes_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    noise: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)

    def run() -> None:
        @batch
        async def hangs(items: list[int]) -> list[int]:
            await asyncio.get_running_loop().create_future()
            return items

        async def main() -> None:
            waiter = hangs(1)
            waiter.add_done_callback(lambda _: None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert hangs.stats().running_batches == 1

        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # asyncio itself tells of the task, as it should
        loop.run_until_complete(main())
        loop.close()

    run()
    gc.collect()
    assert not noise


class TestTaskFactories:
    @pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
    def test_eager_tasks_answer_everybody(self) -> None:
        @batch
        async def at_once(items: list[int]) -> list[int]:
            return items

        @batch
        async def suspends(items: list[int]) -> list[int]:
            await asyncio.sleep(0)
            return items

        @batch
        async def raises(items: list[int]) -> list[int]:
            raise ValueError("no")

        @batch(timeout=0.001)
        async def hangs(items: list[int]) -> list[int]:
            return await asyncio.get_running_loop().create_future()

        async def main() -> list[Any]:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # 3.11 has none
            handlers = (at_once, suspends, raises, hangs)
            async with asyncio.timeout(10):
                return await asyncio.gather(*(each(1) for each in handlers), return_exceptions=True)

        first, second, raised, late = asyncio.run(main())
        assert (first, second) == (1, 1)
        assert isinstance(raised, HandlerFailed)
        assert isinstance(late, DeadlineExceeded)
        assert not at_once.stats().running_batches

    async def test_one_that_makes_no_tasks_fails_every_caller(self) -> None:
        @batch
        async def echo(items: list[int]) -> list[int]:
            return items

        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))  # takes no context
        waiters = [echo(1), echo(2)]
        _, pending = await asyncio.wait(waiters, timeout=10)
        loop.set_task_factory(None)
        assert not pending
        assert all(isinstance(w.exception(), HandlerFailed) for w in waiters)
        assert await echo(3) == 3


class TestThreads:
    def test_run_needs_no_loop(self) -> None:
        @batch
        async def double(items: list[int]) -> list[int]:
            return [2 * n for n in items]

        assert double.run(4) == 8

    def test_run_raises_what_the_item_failed_with(self) -> None:
        @batch
        async def broken(items: list[int]) -> list[int]:
            raise ValueError("boom")

        with pytest.raises(HandlerFailed) as caught:
            broken.run(1)
        assert isinstance(caught.value.__cause__, ValueError)

    def test_calls_of_many_threads_share_batches(self) -> None:
        sizes: list[int] = []
        gate = threading.Event()

        @batch
        def echo(items: list[int]) -> list[int]:
            sizes.append(len(items))
            gate.wait()
            return items

        first = echo.submit(0)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiters = list(pool.map(echo.submit, range(1, 50)))
        gate.set()
        assert first.result() == 0
        assert [w.result() for w in waiters] == list(range(1, 50))
        assert len(sizes) < 10

    async def test_a_thread_reaches_the_running_loop(self) -> None:
        here = threading.get_ident()
        seen: set[int] = set()

        @batch
        async def where(items: list[int]) -> list[int]:
            seen.add(threading.get_ident())
            return items

        await where(1)
        assert await asyncio.to_thread(where.run, 2) == 2
        assert seen == {here}

    def test_refusals_come_through_the_future(self) -> None:
        gate = threading.Event()

        @batch(max_pending=1)
        def slow(items: list[int]) -> list[int]:
            gate.wait()
            return items

        first = slow.submit(1)
        second = slow.submit(2)
        assert isinstance(second.exception(), QueueFull)
        gate.set()
        assert first.result() == 1

    def test_what_key_raises_goes_to_its_caller(self) -> None:
        @batch(key=lambda item: item["tenant"])
        async def by_tenant(items: list[dict[str, str]]) -> list[int]:
            return [1 for _ in items]

        with pytest.raises(KeyError):
            by_tenant.submit({})
        assert by_tenant.run({"tenant": "a"}) == 1

    def test_a_submitted_call_can_be_cancelled(self) -> None:
        gate = threading.Event()
        seen: list[int] = []

        @batch(concurrency=1)
        def slow(items: list[int]) -> list[int]:
            gate.wait()
            seen.extend(items)
            return items

        first, second, third = slow.submit(1), slow.submit(2), slow.submit(3)
        second.cancel()
        gate.set()
        assert first.result() == 1
        assert third.result() == 3
        assert 2 not in seen


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # forking with threads is what is tested
def test_a_forked_child_starts_empty() -> None:
    @batch
    async def double(items: list[int]) -> list[int]:
        return [2 * n for n in items]

    assert double.run(1) == 2  # the background loop's thread exists now, and will not in the child
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if double.run(2) == 4 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sys.stdout.flush()
