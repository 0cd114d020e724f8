"""Batches in actors of a real Ray."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gristmill import App, Ray, batch
from gristmill.batching.executors.remote_error import RemoteError, RemoteTraceback
from gristmill.errors import BatchCancelled, ConfigurationError, WorkerDied
from gristmill.queue.service import Jobs

pytestmark = pytest.mark.usefixtures("local_ray")


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


def die(file: str) -> None:
    with Path(file).open("a") as stream:
        stream.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def fail() -> None:
    raise LookupError("no such user")


class Odd(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("does not travel")


def fail_oddly() -> None:
    raise Odd("odd")


def lambda_of(_item: object) -> Any:
    return lambda: None


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


settings: list[int] = []


def set_up(value: int) -> None:
    if value < 0:
        raise LookupError("no database")
    settings.append(value)


def setting() -> list[int]:
    return settings


@batch(name="doubles", max_size=10, executor=Ray(workers=1, num_cpus=0))
def doubles(items: list[int]) -> list[int]:
    return [item * 2 for item in items]


@pytest.fixture(scope="module")
def pool(local_ray: Any) -> Iterator[Ray]:
    executor = Ray(workers=2, num_cpus=0)
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
    ready, _, _ = await asyncio.to_thread(select.select, [pid_file], [], [], 240)
    os.close(pid_file)
    return bool(ready)


async def test_a_decorated_function_runs_in_another_process_which_is_kept(pool: Ray) -> None:
    assert await pool.run(doubled.func, ([1, 2],)) == [2, 4]
    pids = [await pool.run(pid_of, ()) for _ in range(5)]
    assert len({*pids, os.getpid()}) == 2


async def test_a_function_inside_another_travels_by_value(pool: Ray) -> None:
    factor = 3

    def times(items: list[int]) -> list[int]:
        return [item * factor for item in items]

    assert await pool.run(times, ([1, 2],)) == [3, 6]


async def test_the_death_of_an_actor_costs_its_batch_and_no_other(
    pool: Ray, fifo: str, tmp_path: Path
) -> None:
    held = asyncio.ensure_future(pool.run(hold, (fifo,)))
    holding = await holder(fifo)
    with pytest.raises(WorkerDied, match=r"^Ray actor \d+ died \(killed by a signal.*while it ran .*die$"):
        await pool.run(die, (str(tmp_path / "ran"),))
    assert await pool.run(doubled.func, ([4],)) == [8]
    await release(fifo)
    assert await held == holding
    assert (tmp_path / "ran").read_text() == "x"  # Ray did not run it again


async def test_an_actor_that_died_idle_costs_no_batch(local_ray: Any) -> None:
    executor = Ray(workers=1, num_cpus=0)
    pid = await executor.run(pid_of, ())
    pid_file = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert await gone(pid_file)
    # Until Ray knows, which another actor shows: it is started after the death was noticed.
    other = Ray(workers=1, num_cpus=0)
    await other.run(pid_of, ())
    assert await executor.run(doubled.func, ([1],)) == [2]
    executor.close()
    other.close()


async def test_an_exception_comes_back_as_it_was_with_the_traceback_of_the_actor(pool: Ray) -> None:
    with pytest.raises(LookupError, match="no such user") as caught:
        await pool.run(fail, ())
    assert type(caught.value) is LookupError
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(RemoteError, match=r"Odd: odd"):
        await pool.run(fail_oddly, ())


async def test_what_cannot_be_pickled_fails_its_batch_and_keeps_the_actor(pool: Ray) -> None:
    pid = await pool.run(pid_of, ())
    with pytest.raises(ConfigurationError, match=r"the arguments of .*echo cannot be sent"):
        await pool.run(echo, (threading.Lock(),))
    with pytest.raises(ConfigurationError, match="the reply of lambda_of cannot be sent"):
        await pool.run(lambda_of, (1,))
    assert await pool.run(pid_of, ()) == pid


async def test_an_async_function_runs_on_a_loop_that_its_actor_keeps(pool: Ray) -> None:
    assert [await pool.run(on_the_same_loop, (n,)) for n in range(3)] == [(0, 1), (1, 1), (2, 1)]


async def test_large_items_go_there_and_back(pool: Ray) -> None:
    body = os.urandom(4_000_000)
    assert await pool.run(echo, (body,)) == body


async def test_cancellation_returns_at_once_and_kills_the_actor(local_ray: Any, fifo: str) -> None:
    executor = Ray(workers=1, num_cpus=0)
    task = asyncio.ensure_future(executor.run(hold, (fifo,)))
    pid = await holder(fifo)
    pid_file = os.pidfd_open(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pid_file)
    assert await executor.run(pid_of, ()) != pid
    executor.close()


async def test_close_cancels_what_runs_and_a_later_batch_starts_anew(local_ray: Any, fifo: str) -> None:
    executor = Ray(workers=1, num_cpus=0)
    running = asyncio.ensure_future(executor.run(hold, (fifo,)))
    pid_file = os.pidfd_open(await holder(fifo))
    waiting = asyncio.ensure_future(executor.run(pid_of, ()))
    await asyncio.sleep(0)
    executor.close()
    executor.close()
    for task in (running, waiting):
        with pytest.raises(BatchCancelled, match="the executor was closed before"):
            await task
    assert await gone(pid_file)
    assert await executor.run(doubled.func, ([1],)) == [2]
    executor.close()


async def test_actors_end_with_their_executor(local_ray: Any) -> None:
    executor = Ray(workers=1, num_cpus=0)
    pid_file = os.pidfd_open(await executor.run(pid_of, ()))
    del executor
    gc.collect()
    assert await gone(pid_file)


def test_loops_in_several_threads_share_an_executor(pool: Ray) -> None:
    answers: list[list[int]] = []

    async def some(start: int) -> list[list[int]]:
        return await asyncio.gather(*(pool.run(doubled.func, ([start + n],)) for n in range(10)))

    def work(start: int) -> None:
        answers.extend(asyncio.run(some(start)))

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 10, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [[n * 2] for n in range(30)]


async def test_the_initializer_runs_first_and_its_failure_is_told(local_ray: Any) -> None:
    executor = Ray(workers=1, num_cpus=0, initializer=set_up, initargs=(7,))
    assert await executor.run(setting, ()) == [7]
    executor.close()
    broken = Ray(workers=1, num_cpus=0, initializer=set_up, initargs=(-1,))
    with pytest.raises(WorkerDied, match="its initializer failed with LookupError: no database") as caught:
        await broken.run(setting, ())
    assert isinstance(caught.value.__cause__, LookupError)
    broken.close()


async def test_a_post_is_answered_by_an_actor() -> None:
    app = App(handlers=[doubles], store="memory://")
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post(
            "/v1/doubles/batch", json={"items": [{"data": item} for item in (1, 2, 3)]}
        )
    assert answer.status_code == 200
    assert [item["result"] for item in answer.json()["items"]] == [2, 4, 6]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_durable_job_is_run_by_an_actor(kind: str, tmp_path: Path) -> None:
    store = "memory://" if kind == "memory" else f"sqlite:///{tmp_path / 'queue.db'}"
    jobs = Jobs([doubles], store)
    await jobs.start()
    try:
        ref = await jobs.enqueue("doubles", [1, 2, 3])
        done = await ref.wait(240)
        assert (done.counts.succeeded, done.counts.total) == (3, 3)
        assert [result.decoded() async for result in ref.results(ordered=True)] == [2, 4, 6]
    finally:
        await jobs.stop(0)


SCRIPT = """
import asyncio, os, signal, sys
from gristmill import Ray
from gristmill.errors import ConfigurationError

class Reply:
    def __init__(self, value):
        self.value = value

def doubled(items):
    return [Reply(item * 2) for item in items]

def die(items):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(executor):
    (reply,) = await executor.run(doubled, ([21],))
    print(reply.value, type(reply) is Reply)
    try:
        await executor.run(die, ([1],))
    except Exception as error:
        print(type(error).__name__)

async def late(executor):
    await executor.run(doubled, ([21],))

if __name__ == "__main__":
    print("started", flush=True)
    executor = Ray(workers=1)
    asyncio.run(main(executor))
    print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, flush=True)
    if os.fork() == 0:
        try:
            asyncio.run(late(executor))
        except ConfigurationError as error:
            print(str(error)[:23], flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_script_starts_a_ray_of_its_own_which_says_nothing_and_leaves_signals_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # A short path: the names of Unix sockets have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="gm-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        ended = subprocess.run(
            [sys.executable, "-W", "ignore::DeprecationWarning", script],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
            env={**environment, "RAY_TMPDIR": folder},
        )
    assert ended.stdout.splitlines() == [
        "started",
        "42 True",
        "WorkerDied",
        "True",
        "this process was forked",
    ]
    assert ended.stderr == ""


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'gristmill\[ray\]'"):
        Ray()


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Ray\(workers=0\): use 1 or more"):
        Ray(workers=0)
    with pytest.raises(ConfigurationError, match=r"Ray\(num_gpus=-1\): use 0 or more"):
        Ray(num_gpus=-1)


def test_slots_are_the_workers_and_nothing_is_started_before_a_batch() -> None:
    assert Ray(workers=3).slots == 3
    assert Ray().slots is None
    assert repr(Ray(workers=3)) == "Ray(workers=3) <0 started, 0 idle, 0 in line>"
