from __future__ import annotations

import asyncio
import importlib.util
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.batching.executors import Processes
from gristmill.errors import BatchCancelled, ConfigurationError, WorkerDied


class Handler:
    """A decorator that puts an object in the place of the function, as @batch does."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func


@Handler
def doubled(items: list[int]) -> list[int]:
    return [item * 2 for item in items]


def pid_of(*_args: object) -> int:
    return os.getpid()


def echo(item: Any) -> Any:
    return item


def path_of_parent(path: str) -> bool:
    return path in sys.path


def standard_input() -> str:
    return sys.stdin.read()


loops: list[asyncio.AbstractEventLoop] = []


async def on_the_same_loop(item: int) -> tuple[int, int]:
    await asyncio.sleep(0)
    loops.append(asyncio.get_running_loop())
    return item, len(set(loops))


def hold(fifo: str) -> int:
    """Say that it runs, by opening the fifo, and go on when the other end is closed."""
    with Path(fifo).open("w") as stream:
        stream.write(f"{os.getpid()}\n")
    Path(fifo + ".end").open().read()  # noqa: SIM115 - blocks until somebody opens and closes it
    return os.getpid()


def note(file: str, *, fails: bool = False) -> None:
    with Path(file).open("a") as stream:
        stream.write("x")
    if fails:
        raise LookupError("no database")


def note_and_fail(file: str) -> None:
    note(file, fails=True)


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    executor = Processes(2)
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def one() -> Iterator[Processes]:
    executor = Processes(1)
    yield executor
    executor.close()


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    os.mkfifo(tmp_path / "fifo.end")
    return str(tmp_path / "fifo")


async def holder(fifo: str) -> int:
    return int(await asyncio.to_thread(Path(fifo).read_text))


async def release(fifo: str) -> None:
    await asyncio.to_thread(Path(fifo + ".end").write_text, "")


async def gone(pid_file: int) -> bool:
    ready, _, _ = await asyncio.to_thread(select.select, [pid_file], [], [], 20)
    os.close(pid_file)
    return bool(ready)


async def test_a_decorated_function_runs_in_another_process(pool: Processes):
    assert await pool.run(doubled.func, ([1, 2],)) == [2, 4]
    assert await pool.run(pid_of, ()) != os.getpid()


async def test_an_idle_worker_is_used_before_another_is_started(pool: Processes):
    pids = [await pool.run(pid_of, ()) for _ in range(5)]
    assert len(set(pids)) == 1


async def test_an_async_function_runs_on_a_loop_that_the_worker_keeps(one: Processes):
    assert await one.run(on_the_same_loop, (1,)) == (1, 1)
    assert await one.run(on_the_same_loop, (2,)) == (2, 1)


async def test_twenty_megabytes_go_both_ways(pool: Processes):
    data = os.urandom(20_000_000)
    replies = await asyncio.gather(pool.run(echo, (data,)), pool.run(echo, (data,)))
    assert replies == [data, data]


async def test_a_closure_travels_by_value(pool: Processes):
    factor = 3
    assert await pool.run(lambda items: [item * factor for item in items], ([1, 2],)) == [3, 6]


async def test_a_function_that_cannot_travel_is_refused(pool: Processes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match="install cloudpickle"):
        await pool.run(lambda items: items, ([],))
    with pytest.raises(ConfigurationError, match="install cloudpickle"):
        pool.check(lambda items: items)


async def test_a_module_loaded_by_path_is_found_with_its_classes(pool: Processes, tmp_path: Path):
    file = tmp_path / "users.py"
    file.write_text(
        "class User:\n    def __init__(self, name): self.name = name\n"
        "def create(users):\n    return [User(user.name.upper()) for user in users]\n"
    )
    spec = importlib.util.spec_from_file_location("users_by_path", file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["users_by_path"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        (user,) = await pool.run(module.create, ([module.User("ann")],))
    finally:
        del sys.modules["users_by_path"]
    assert type(user) is module.User
    assert user.name == "ANN"


async def test_workers_have_the_search_path_of_their_parent_and_no_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend("/a/place/of/its/own")
    executor = Processes(1)
    assert await executor.run(path_of_parent, ("/a/place/of/its/own",))
    assert await executor.run(standard_input, ()) == ""
    executor.close()


def test_it_serves_one_loop_after_the_other(pool: Processes):
    first = asyncio.run(pool.run(doubled.func, ([1],)))
    second = asyncio.run(pool.run(doubled.func, ([2],)))
    assert (first, second) == ([2], [4])


def test_loops_in_several_threads_share_it(pool: Processes):
    async def many(start: int) -> list[Any]:
        return list(await asyncio.gather(*(pool.run(doubled.func, ([start + n],)) for n in range(25))))

    replies: dict[int, list[Any]] = {}
    callers = [
        threading.Thread(target=lambda n=n: replies.update({n: asyncio.run(many(n))})) for n in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert replies == {start: [[(start + n) * 2] for n in range(25)] for start in range(4)}


async def test_a_worker_is_replaced_after_its_share_of_batches():
    executor = Processes(1, max_batches=2)
    pids = [await executor.run(pid_of, ()) for _ in range(5)]
    executor.close()
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]


async def test_the_initializer_runs_once_in_each_worker(tmp_path: Path):
    file = tmp_path / "calls"
    executor = Processes(1, initializer=note, initargs=(str(file),))
    for _ in range(3):
        await executor.run(pid_of, ())
    executor.close()
    assert file.read_text() == "x"


async def test_a_failing_initializer_fails_the_batch_and_is_tried_once_for_each(tmp_path: Path):
    file = tmp_path / "calls"
    executor = Processes(1, initializer=note_and_fail, initargs=(str(file),))
    for _ in range(2):
        with pytest.raises(WorkerDied, match=r"initializer failed with LookupError: no database") as caught:
            await executor.run(pid_of, ())
        assert isinstance(caught.value.__cause__, LookupError)
    executor.close()
    assert file.read_text() == "xx"


async def test_a_batch_cancelled_in_line_never_runs(one: Processes, fifo: str, tmp_path: Path):
    file = tmp_path / "calls"
    running = asyncio.create_task(one.run(hold, (fifo,)))
    pid = await holder(fifo)
    in_line = asyncio.create_task(one.run(note, (str(file),)))
    await asyncio.sleep(0)
    in_line.cancel()
    with pytest.raises(asyncio.CancelledError):
        await in_line
    await release(fifo)
    assert await running == pid
    assert await one.run(pid_of, ()) == pid
    assert not file.exists()


async def test_close_kills_the_busy_cancels_the_line_and_a_later_run_starts_anew(fifo: str):
    executor = Processes(1, start_method="spawn")
    running = asyncio.create_task(executor.run(hold, (fifo,)))
    pid = await holder(fifo)
    in_line = asyncio.create_task(executor.run(pid_of, ()))
    await asyncio.sleep(0)
    executor.close()
    executor.close()
    for task in (running, in_line):
        with pytest.raises(BatchCancelled, match="closed before"):
            await task
    other = await executor.run(pid_of, ())
    assert other != pid
    pid_file = os.pidfd_open(other)
    executor.close()
    assert await gone(pid_file)


async def test_close_leaves_no_zombie():
    before = set(threading.enumerate())
    executor = Processes(1, start_method="spawn")
    pid = await executor.run(pid_of, ())
    (thread,) = {thread for thread in set(threading.enumerate()) - before if "process" in thread.name}
    executor.close()
    await asyncio.to_thread(thread.join, 20)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_workers_end_with_their_executor():
    executor = Processes(1)
    pid_file = os.pidfd_open(await executor.run(pid_of, ()))
    del executor
    assert await gone(pid_file)


SCRIPT = """
import asyncio, sys
from gristmill.batching.executors import Processes

class Reply:
    def __init__(self, value):
        self.value = value

def doubled(items):
    return [Reply(item * 2) for item in items]

async def main(executor):
    (reply,) = await executor.run(doubled, ([21],))
    print(reply.value, type(reply) is Reply)

if __name__ == "__main__":
    print("started")
    executor = Processes(2, start_method=sys.argv[1])
    asyncio.run(main(executor))
    asyncio.run(main(executor))
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_a_script_uses_its_own_functions_and_ends_by_itself(tmp_path: Path, start_method: str):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, start_method]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
    assert (ended.stdout, ended.stderr) == ("started\n42 True\n42 True\n", "")


def test_options_out_of_range_are_refused():
    with pytest.raises(ConfigurationError, match=r"workers=0.*use 1 or more"):
        Processes(0)
    with pytest.raises(ConfigurationError, match=r"max_batches=0.*use 1 or more"):
        Processes(max_batches=0)
    with pytest.raises(ConfigurationError, match=r"start_method='fork'.*use one of"):
        Processes(start_method="fork")  # type: ignore[arg-type]  # refused at run time too


def test_slots_are_the_workers_and_nothing_is_started_before_a_batch():
    executor = Processes(3)
    assert executor.slots == 3
    assert repr(executor) == "Processes(workers=3) <0 started, 0 idle, 0 in line>"
    assert Processes().slots >= 1
