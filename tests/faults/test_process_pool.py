from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.batching.executors import Processes
from gristmill.errors import WorkerDied


def pid_of() -> int:
    return os.getpid()


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(7)


def crash() -> None:
    ctypes.string_at(0)


def hold(fifo: str) -> int:
    """Say that it runs, by opening the fifo, and go on when the other end is closed."""
    with Path(fifo).open("w") as stream:
        stream.write(f"{os.getpid()}\n")
    Path(fifo + ".end").open().read()  # noqa: SIM115 - blocks until somebody opens and closes it
    return os.getpid()


def hold_with_a_child(fifo: str) -> int:
    """Start a process that keeps this one's end of the pipe open, then die."""
    if os.fork() == 0:
        hold(fifo)
        os._exit(0)
    Path(fifo + ".forked").open().read()  # noqa: SIM115 - the child runs now
    os._exit(7)


@pytest.fixture(params=["forkserver", "spawn"], scope="module")
def pool(request: pytest.FixtureRequest) -> Iterator[Processes]:
    executor = Processes(2, start_method=request.param)
    yield executor
    executor.close()


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    for name in ("fifo", "fifo.end", "fifo.forked"):
        os.mkfifo(tmp_path / name)
    return str(tmp_path / "fifo")


async def holder(fifo: str) -> int:
    return int(await asyncio.to_thread(Path(fifo).read_text))


async def release(fifo: str) -> None:
    await asyncio.to_thread(Path(fifo + ".end").write_text, "")


async def gone(pid_file: int) -> bool:
    ready, _, _ = await asyncio.to_thread(select.select, [pid_file], [], [], 240)
    os.close(pid_file)
    return bool(ready)


@pytest.mark.parametrize(
    ("deadly", "end"),
    [(kill_itself, "was killed by SIGKILL"), (leave, "exited with code 7"), (crash, "was killed by SIGSEGV")],
)
async def test_the_death_of_a_worker_costs_its_batch_and_no_other(
    pool: Processes, fifo: str, deadly: Callable[[], Any], end: str
):
    other = asyncio.create_task(pool.run(hold, (fifo,)))
    pid = await holder(fifo)
    doomed = await pool.run(pid_of, ())
    with pytest.raises(WorkerDied, match=f"worker process {doomed} {end} while it ran .*{deadly.__name__}"):
        await pool.run(deadly, ())
    assert await pool.run(pid_of, ()) not in {pid, doomed}
    await release(fifo)
    assert await other == pid


async def test_cancelling_a_batch_kills_its_worker_and_no_other(pool: Processes, fifo: str):
    task = asyncio.create_task(pool.run(hold, (fifo,)))
    pid_file = os.pidfd_open(await holder(fifo))
    other = await pool.run(pid_of, ())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await gone(pid_file)
    assert await pool.run(pid_of, ()) == other
    both = await asyncio.gather(pool.run(pid_of, ()), pool.run(pid_of, ()))
    assert len(both) == 2


async def test_a_batch_cancelled_while_its_worker_starts_leaves_a_working_pool():
    executor = Processes(1)
    for turns in range(5):
        task = asyncio.create_task(executor.run(pid_of, ()))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await executor.run(pid_of, ()) != os.getpid()
    executor.close()


async def test_a_worker_killed_while_idle_is_replaced_without_a_word():
    executor = Processes(1)
    for _ in range(5):
        pid = await executor.run(pid_of, ())
        pid_file = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert await gone(pid_file)
        assert await executor.run(pid_of, ()) != pid
    executor.close()


async def test_a_worker_whose_child_holds_its_pipe_is_still_seen_to_die(fifo: str):
    executor = Processes(1)
    task = asyncio.create_task(executor.run(hold_with_a_child, (fifo,)))
    child = os.pidfd_open(await holder(fifo))
    await asyncio.to_thread(Path(fifo + ".forked").write_text, "")
    with pytest.raises(WorkerDied, match="exited with code 7"):
        await task
    await release(fifo)
    assert await gone(child)
    executor.close()


async def test_a_hundred_deaths_among_other_batches_are_all_told_apart(pool: Processes):
    calls = [pool.run(leave if n % 4 == 0 else pid_of, ()) for n in range(40)]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert [n for n, reply in enumerate(replies) if isinstance(reply, WorkerDied)] == list(range(0, 40, 4))
    assert all(isinstance(reply, int) for n, reply in enumerate(replies) if n % 4)


ORPHANS = """
import asyncio, ctypes, os, sys
from gristmill.batching.executors import Processes

def pid_of():
    return os.getpid()

def busy():
    os.write(1, f"{os.getpid()}\\n".encode())
    while True:
        pass

def stuck():
    os.write(1, f"{os.getpid()}\\n".encode())
    ctypes.PyDLL(None).pause()  # holds the interpreter's lock: no other thread of the worker runs again

async def main():
    executor = Processes(2, start_method=sys.argv[1])
    function = {"busy": busy, "stuck": stuck}.get(sys.argv[2])
    if function is None:
        os.write(1, f"{await executor.run(pid_of, ())}\\n".encode())
        await asyncio.get_running_loop().create_future()
    await executor.run(function, ())

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize("state", ["idle", "busy", "stuck"])
def test_no_worker_outlives_a_killed_parent(tmp_path: Path, start_method: str, state: str):
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    with subprocess.Popen(
        [sys.executable, script, start_method, state], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        worker = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        assert select.select([worker], [], [], 240)[0]
        os.close(worker)
        assert parent.stdout.read() == b""  # its end comes when every process that shared it is gone


CTRL_C = """
import asyncio, os
from gristmill.batching.executors import Processes

def busy():
    os.write(1, b"busy\\n")
    while True:
        pass

async def main(executor):
    await executor.run(busy, ())

if __name__ == "__main__":
    try:
        asyncio.run(main(Processes(2)))
    except KeyboardInterrupt:
        print("stopped")
"""


@contextlib.contextmanager
def leader(*words: Any, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python that leads a session of processes, none of which outlives the test, however that ends."""
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, text=True, start_new_session=True, **options
    ) as parent:
        try:
            yield parent
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(parent.pid, signal.SIGKILL)


def test_ctrl_c_is_answered_by_the_parent_alone(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(CTRL_C)
    with leader(script, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "busy\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.communicate(timeout=240) == ("stopped\n", "")
    assert parent.returncode == 0


UNMOVED = """
import asyncio, os, signal, sys
from gristmill.batching.executors import Processes

def hold(fifo):
    os.write(1, b"held\\n")
    with open(fifo) as stream:
        return stream.read()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: os.write(1, b"signal\\n"))
    print(asyncio.run(Processes(1).run(hold, (sys.argv[1],))))
"""


def test_ctrl_c_leaves_a_batch_alone_unless_its_parent_stops(tmp_path: Path, fifo: str):
    script = tmp_path / "script.py"
    script.write_text(UNMOVED)
    with leader(script, fifo) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "held\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "signal\n"
        Path(fifo).write_text("whole")
        assert parent.communicate(timeout=240) == ("whole\n", None)


NO_GUARD = """
import asyncio
from gristmill.batching.executors import Processes

def reply():
    return 1

print("run", flush=True)
asyncio.run(Processes(1).run(reply, ()))
"""


def test_a_script_without_a_main_guard_fails_with_the_reason(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(NO_GUARD)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 1
    assert 'must be under `if __name__ == "__main__":`' in ended.stderr
    assert ended.stdout.count("run") <= 3  # the program, and its copies in the fork server and one worker


FORKED = """
import asyncio, os, sys, warnings
from gristmill.batching.executors import Processes, Threads

warnings.simplefilter("ignore", DeprecationWarning)  # a fork with threads: what is under test

def pid_of():
    return os.getpid()

async def main(executors):
    return [await executor.run(pid_of, ()) for executor in executors]

if __name__ == "__main__":
    executors = [Threads(1), Processes(1)]
    before = asyncio.run(main(executors))
    child = os.fork()
    if child == 0:
        thread, process = asyncio.run(main(executors))
        print(thread == os.getpid(), process not in {os.getpid(), before[1]}, flush=True)
        sys.exit(0)
    os.waitpid(child, 0)
    print(asyncio.run(main(executors)) == before)
"""


def test_a_forked_child_starts_with_workers_of_its_own(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(FORKED)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=240, check=True)
    assert (ended.stdout, ended.stderr) == ("True True\nTrue\n", "")
