from __future__ import annotations

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.batching.executors import Threads
from gristmill.errors import BatchCancelled, ConfigurationError

word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="nothing")


@pytest.fixture
def threads() -> Iterator[Threads]:
    executor = Threads()
    yield executor
    executor.close()


def thread_id() -> int:
    return threading.get_ident()


async def own_task(text: str) -> tuple[str, str, bool]:
    await asyncio.sleep(0)
    return text, word.get(), threading.current_thread() is threading.main_thread()


def wait_for(event: threading.Event, reply: object = None) -> object:
    event.wait()
    return reply


def failing(error: BaseException) -> None:
    raise error


async def test_a_function_runs_in_another_thread(threads: Threads):
    assert await threads.run(thread_id, ()) != threading.get_ident()


async def test_an_idle_thread_is_used_again(threads: Threads):
    idents = [await threads.run(thread_id, ()) for _ in range(5)]
    assert len(set(idents)) == 1


async def test_batches_at_once_get_a_thread_each(threads: Threads):
    barrier = threading.Barrier(8)
    replies = await asyncio.gather(*(threads.run(barrier.wait, ()) for _ in range(8)))
    assert sorted(replies) == list(range(8))


async def test_no_more_threads_than_workers():
    executor = Threads(2)
    event = threading.Event()
    waiting = [asyncio.create_task(executor.run(wait_for, (event, thread_id))) for _ in range(5)]
    await asyncio.sleep(0)
    assert repr(executor) == "Threads(workers=2) <2 started, 0 idle, 3 in line>"
    event.set()
    assert len(await asyncio.gather(*waiting)) == 5
    executor.close()


async def test_the_function_sees_the_context_of_its_caller_and_cannot_change_it(threads: Threads):
    def changed() -> str:
        before = word.get()
        word.set("changed")
        return before

    word.set("mine")
    assert await threads.run(changed, ()) == "mine"
    assert word.get() == "mine"


async def test_an_async_function_runs_on_a_loop_of_its_own_in_the_callers_context(threads: Threads):
    word.set("mine")
    assert await threads.run(own_task, ("text",)) == ("text", "mine", False)


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()], ids=repr
)
async def test_whatever_is_raised_reaches_the_caller(threads: Threads, error: BaseException):
    with pytest.raises(type(error)) as raised:
        await threads.run(failing, (error,))
    assert raised.value is error
    assert await threads.run(len, ([1],)) == 1


async def test_stop_iteration_does_not_hang_the_caller(threads: Threads):
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(failing, (StopIteration(),))


async def test_a_cancelled_batch_returns_while_its_thread_goes_on():
    executor = Threads(1)
    begun, event = threading.Event(), threading.Event()

    def stuck() -> None:
        begun.set()
        event.wait()

    task = asyncio.create_task(executor.run(stuck, ()))
    in_line = asyncio.create_task(executor.run(len, ([1],)))
    await asyncio.sleep(0)
    begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await in_line == 1  # in the thread that took the place
    event.set()
    executor.close()


async def test_a_late_error_is_noted_and_no_more(caplog: pytest.LogCaptureFixture):
    executor = Threads(1)
    begun, event = threading.Event(), threading.Event()
    thread: list[threading.Thread] = []

    def late() -> None:
        thread.append(threading.current_thread())
        begun.set()
        event.wait()
        raise ValueError("late")

    task = asyncio.create_task(executor.run(late, ()))
    await asyncio.sleep(0)
    begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with caplog.at_level(logging.DEBUG, logger="gristmill.executors"):
        event.set()
        thread[0].join()
    assert [record.getMessage() for record in caplog.records] == [
        f"{late.__module__}.{late.__qualname__} failed after its batch was cancelled"
    ]


async def test_an_async_function_is_cancelled_with_its_batch(threads: Threads):
    begun, ended = threading.Event(), threading.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    task = asyncio.create_task(threads.run(endless, ()))
    await asyncio.sleep(0)
    begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.wait(10)


async def test_a_batch_cancelled_in_line_never_runs():
    executor = Threads(1)
    event = threading.Event()
    calls: list[int] = []
    first = asyncio.create_task(executor.run(wait_for, (event, "first")))
    second = asyncio.create_task(executor.run(calls.append, (2,)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    event.set()
    assert await first == "first"
    assert await executor.run(len, (calls,)) == 0
    executor.close()


async def test_close_cancels_the_line_lets_busy_ones_end_and_a_later_run_starts_anew():
    executor = Threads(1)
    begun, event = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        event.wait()
        return "ended"

    running = asyncio.create_task(executor.run(slow, ()))
    in_line = asyncio.create_task(executor.run(thread_id, ()))
    await asyncio.sleep(0)
    begun.wait()
    executor.close()
    executor.close()
    with pytest.raises(BatchCancelled, match="closed before"):
        await in_line
    assert await executor.run(len, ([1],)) == 1
    event.set()
    assert await running == "ended"
    executor.close()


async def test_close_ends_idle_threads():
    executor = Threads()
    thread = await executor.run(threading.current_thread, ())
    executor.close()
    thread.join(10)
    assert not thread.is_alive()


async def test_threads_end_with_their_executor():
    executor = Threads()
    thread = await executor.run(threading.current_thread, ())
    del executor
    thread.join(10)
    assert not thread.is_alive()


def test_loops_in_several_threads_share_it(threads: Threads):
    async def many(start: int) -> list[int]:
        return list(
            await asyncio.gather(*(threads.run(abs, (-number,)) for number in range(start, start + 50)))
        )

    replies: dict[int, list[int]] = {}
    callers = [
        threading.Thread(target=lambda n=n: replies.update({n: asyncio.run(many(n))})) for n in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert replies == {n: list(range(n, n + 50)) for n in range(4)}


def test_a_closed_loop_is_no_trouble_for_a_thread_that_ends_late(threads: Threads):
    begun, event = threading.Event(), threading.Event()
    thread: list[threading.Thread] = []

    def late() -> None:
        thread.append(threading.current_thread())
        begun.set()
        event.wait()

    loop = asyncio.new_event_loop()
    task = loop.create_task(threads.run(late, ()))
    loop.run_until_complete(asyncio.sleep(0))
    begun.wait()
    loop.close()
    event.set()
    assert asyncio.run(threads.run(len, ([1],))) == 1
    threads.close()
    thread[0].join(10)
    assert not thread[0].is_alive()  # the end of a thread by an exception would fail the test as a warning
    del task


def status(native_id: int) -> str:
    return Path(f"/proc/self/task/{native_id}/status").read_text()


def switches(native_id: int) -> list[str]:
    return [line for line in status(native_id).splitlines() if "ctxt_switches" in line]


async def test_an_idle_thread_never_wakes(threads: Threads):
    native_id = await threads.run(threading.get_native_id, ())
    other = Threads()
    while "S (sleeping)" not in status(native_id):
        await other.run(len, ("",))
    before = switches(native_id)
    for _ in range(2000):
        await other.run(len, ("",))
    assert switches(native_id) == before
    other.close()


def test_a_daemon_thread_does_not_keep_the_interpreter(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, threading\n"
        "from gristmill.batching.executors import Threads\n"
        "async def main():\n"
        "    executor = Threads()\n"
        "    try:\n"
        "        await asyncio.wait_for(executor.run(threading.Event().wait, ()), 0.01)\n"
        "    except TimeoutError:\n"
        "        print('timed out')\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, check=True)
    assert (ended.stdout, ended.stderr) == ("timed out\n", "")


def test_slots_are_the_workers():
    assert Threads(3).slots == 3
    assert Threads().slots is None


def test_no_workers_are_refused():
    with pytest.raises(ConfigurationError, match="use 1 or more"):
        Threads(0)
