"""Workers of the local pool die, freeze, leak and lie, and exactly one task is affected."""

from __future__ import annotations

import contextlib
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import os
import random
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tests.integration.streams.engine_work import Work, task

from gristmill.batching.executors.child_process import context_of
from gristmill.streams.chunk import Task
from gristmill.streams.engines.local import LocalPool
from gristmill.streams.engines.local_main import MainOptions
from gristmill.streams.engines.local_process import LocalProcess
from gristmill.streams.engines.local_rules import Held
from gristmill.streams.engines.messages import Ready, dump_work
from gristmill.streams.engines.protocol import Died, Event, Finished, Mark

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pidfd and /proc")

MB = 1_000_000


def environment() -> dict[str, str]:
    """Return an environment in which scripts find what is imported here, too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.fixture
def start() -> Iterator[Callable[..., LocalPool]]:
    with contextlib.ExitStack() as stack:

        def make(
            workers: int = 1, *, work: Work | None = None, timeout: float | None = None, **options
        ) -> LocalPool:
            pool = LocalPool(workers, **options)
            stack.callback(pool.stop, kill=True)
            pool.start(work or Work(), timeout=timeout)
            return pool

        yield make


def test_a_fork_server_that_is_killed_while_it_starts_a_worker_is_started_again(
    start: Callable[..., LocalPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = multiprocessing.forkserver._forkserver  # noqa: SLF001 - there is no other way to it
    connect = multiprocessing.popen_forkserver.forkserver.connect_to_new_process
    killed: list[int] = []

    def once(fds: Sequence[int]) -> tuple[int, int]:
        server.ensure_running()
        if killed:
            return connect(fds)
        killed.append(server._forkserver_pid)  # noqa: SLF001 - as above
        os.kill(killed[0], signal.SIGSTOP)
        try:
            return connect(fds)  # it is asked, and will never answer
        finally:
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(multiprocessing.popen_forkserver.forkserver, "connect_to_new_process", once)
    pool = start()
    (event,) = run(pool, [b"pid"])
    assert isinstance(event, Finished), event
    assert killed


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    for name in ("fifo", "fifo.end", "fifo.forked"):
        os.mkfifo(tmp_path / name)
    return str(tmp_path / "fifo")


def run(pool: LocalPool, tasks: Sequence[Task | bytes], number: int = 0) -> list[Event]:
    """Run *tasks*, all submitted at once; return their events in their order."""
    todo = [entry if isinstance(entry, Task) else task(number + i, entry) for i, entry in enumerate(tasks)]
    for entry in todo:
        pool.submit(entry)
    events: dict[int, Event] = {}
    while len(events) < len(todo):
        for event in pool.wait():
            assert event.task.chunk.number not in events
            events[event.task.chunk.number] = event
    return [events[entry.chunk.number] for entry in todo]


def test_what_is_first_in_the_input_is_run_first_whenever_it_comes(start: Callable[..., LocalPool]) -> None:
    pool = start()
    for number in (3, 9, 1, 7):  # no worker has started before the first wait
        pool.submit(task(number, b"pid"))
    order: list[int] = []
    while len(order) < 4:
        order += [event.task.chunk.number for event in pool.wait()]
    assert order == [1, 3, 7, 9]


def pid_of(event: Event) -> int:
    assert isinstance(event, Finished), event
    return int(event.result.body)


def death_of(event: Event) -> Died:
    assert isinstance(event, Died), event
    return event


def pids() -> set[int]:
    return {child.pid for child in multiprocessing.active_children() if child.name == "gristmill-worker"}


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Kill a process and wait until it is gone."""
    pid_file = os.pidfd_open(pid)
    os.kill(pid, number)
    assert select.select([pid_file], [], [], 240)[0]
    os.close(pid_file)


@pytest.mark.parametrize(
    ("deadly", "reason"),
    [
        (b"kill 9", r"was killed by SIGKILL \(out of memory\?\) at \d+ MB"),
        (b"kill 15", "was killed by SIGTERM"),
        (b"segfault", "was killed by SIGSEGV"),
        (b"exit 0", "exited with code 0"),
        (b"exit 7", "exited with code 7"),
        (b"shut stay", "closed its pipe"),
        (b"shut", "lost the pipe to its parent"),
        (b"scribble", "no message"),
    ],
)
def test_a_death_is_told_and_the_task_in_the_pipe_behind_it_is_not_blamed(
    start: Callable[..., LocalPool], deadly: bytes, reason: str
):
    pool = start()
    first = pid_of(run(pool, [b"pid"])[0])
    died, behind = run(pool, [deadly, b"pid"], 1)
    assert re.search(reason, death_of(died).reason), death_of(died).reason
    assert not death_of(died).is_timeout
    assert pid_of(behind) != first
    assert pid_of(run(pool, [b"pid"], 3)[0]) == pid_of(behind)


def test_the_death_of_a_worker_shows_which_rows_were_with_the_handler(start: Callable[..., LocalPool]):
    assert death_of(run(start(), [b"kill 9"])[0]).mark == Mark(first=4, stop=7)


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_whose_child_holds_its_pipe_is_still_seen_to_die(
    start: Callable[..., LocalPool], fifo: str, method: str
):
    pool = start(start_method=method)
    pool.submit(task(0, f"fork {fifo}".encode()))
    pool.wait(0)
    while "1 ready" not in repr(pool):
        assert not pool.wait(0.01)
    child = int(Path(fifo).read_text())
    Path(fifo + ".forked").write_text("")
    events: Sequence[Event] = ()
    while not events:
        events = pool.wait()
    assert death_of(events[0]).reason == "exited with code 5"
    kill(child)


def test_an_idle_worker_that_dies_is_replaced_without_a_word(start: Callable[..., LocalPool]):
    pool = start()
    for number in range(5):
        pid = pid_of(run(pool, [b"pid"], 2 * number)[0])
        kill(pid)
        assert pid_of(run(pool, [b"pid"], 2 * number + 1)[0]) != pid


def test_a_result_that_was_sent_in_full_counts_although_its_worker_is_dead(start: Callable[..., LocalPool]):
    pool = start()
    pid = pid_of(run(pool, [b"pid"])[0])
    pool.submit(task(1, b"echo whole"))
    pool.submit(task(2, b"exit 3"))  # begins when the answer before it is sent
    pid_file = os.pidfd_open(pid)
    assert select.select([pid_file], [], [], 240)[0]
    os.close(pid_file)
    events = {event.task.chunk.number: event for event in [*pool.wait(), *pool.wait(0)]}
    while len(events) < 2:
        events |= {event.task.chunk.number: event for event in pool.wait()}
    assert isinstance(events[1], Finished)
    assert death_of(events[2]).mark == Mark(first=4, stop=7)


def test_half_a_result_is_none():
    worker = LocalProcess(context_of(None, "test"), dump_work(Work()), MainOptions(stdout_to_stderr=False))
    try:
        worker.give(Held(task(0, b"big 50000000")))
        while not worker.is_ready:
            select.select([worker.socket], [], [])
            for message in worker.receive():
                assert isinstance(message, Ready)
                worker.base_rss = message.rss
        select.select([worker.socket], [], [])  # some of it is here, and the rest has no room
        assert worker.pid is not None
        kill(worker.pid)
        assert not list(worker.receive(is_last=True))
        assert worker.is_running
        assert worker.has_hung_up
    finally:
        worker.kill()
        assert worker.reap().end.startswith("was killed by SIGKILL")


@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_lose_and_tear_nothing(start: Callable[..., LocalPool], seed: int):
    pool = start(2)
    chance = random.Random(seed)
    sizes = [chance.choice([10, 1000, 300_000, 3 * MB]) for _ in range(200)]
    waiting = list(range(len(sizes)))[::-1]
    events: dict[int, Event] = {}
    deaths = kills = 0
    while len(events) < len(sizes):
        while waiting and pool.room:
            number = waiting.pop()
            pool.submit(task(number, f"big {sizes[number]}".encode()))
        for event in pool.wait(chance.choice([0, 0.001, 0.01])):
            number = event.task.chunk.number
            assert number not in events
            if isinstance(event, Died):
                deaths += 1
                waiting.append(number)
            else:
                assert isinstance(event, Finished)
                assert len(event.result.body) == sizes[number]
                events[number] = event
        running = sorted(pids())  # the pool counts a killed worker as ready until it has heard of its death
        if running and kills < 20 and chance.random() < 0.3 and " 0 ready" not in repr(pool):
            kills += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(running), signal.SIGKILL)
    assert deaths <= kills
    assert kills > 5


@pytest.mark.parametrize("body", [b"freeze", b"spin"])
def test_a_worker_that_is_stopped_is_found_by_the_timeout(start: Callable[..., LocalPool], body: bytes):
    pool = start(timeout=1)
    died, behind = run(pool, [body, b"pid"])
    assert death_of(died).is_timeout
    assert death_of(died).mark == Mark(first=4, stop=7)
    assert "1 s" in death_of(died).reason
    pid_of(behind)


def test_a_worker_that_is_stopped_outside_of_a_handler_is_found_too(start: Callable[..., LocalPool]):
    died, behind = run(start(timeout=1), [b"doze", b"pid"])
    assert death_of(died).is_timeout
    assert death_of(died).mark is None
    assert "SIGSTOP" in death_of(died).reason
    pid_of(behind)


def test_a_task_that_a_stopped_worker_has_not_read_goes_to_another(start: Callable[..., LocalPool]):
    pool = start(timeout=1)
    pid = pid_of(run(pool, [b"pid"])[0])
    os.kill(pid, signal.SIGSTOP)
    assert pid_of(run(pool, [b"pid"], 1)[0]) != pid


def test_a_worker_that_sends_slowly_does_not_hold_up_another(start: Callable[..., LocalPool]):
    pool = start(2)
    run(pool, [b"pid"] * 4)
    pool.submit(task(10, b"big 50000000"))
    (sender,) = (worker for worker in pool._workers if worker.held)  # noqa: SLF001 - nobody else knows who sends
    select.select([sender.socket], [], [])
    assert sender.pid is not None
    os.kill(sender.pid, signal.SIGSTOP)
    for number in range(20, 25):
        assert pid_of(run(pool, [b"pid"], number)[0]) != sender.pid
    os.kill(sender.pid, signal.SIGCONT)
    (event,) = pool.wait()
    assert isinstance(event, Finished)
    assert len(event.result.body) == 50 * MB


def test_big_tasks_and_big_results_pass_each_other(start: Callable[..., LocalPool]):
    pool = start(2)
    body = b"echo " + os.urandom(MB) * 50
    for event in run(pool, [body] * 4):
        assert isinstance(event, Finished)
        assert event.result.body == body


def test_results_that_are_held_keep_their_bytes_while_others_come_and_their_worker_dies(
    start: Callable[..., LocalPool],
):
    pool = start()
    bodies = [b"echo " + os.urandom(MB // 4) for _ in range(12)]
    events = run(pool, bodies)
    kill(pid_of(run(pool, [b"pid"], 20)[0]))
    events += run(pool, bodies, 30)
    for event, body in zip(events, bodies * 2, strict=True):
        assert isinstance(event, Finished)
        assert event.result.body == body


def test_a_big_task_for_a_busy_worker_is_taken_at_once(start: Callable[..., LocalPool], fifo: str):
    pool = start()
    pid = pid_of(run(pool, [b"pid"])[0])
    pool.submit(task(1, f"hold {fifo}".encode()))
    assert int(Path(fifo).read_text()) == pid
    pool.submit(task(2, b"echo " + bytes(50 * MB)))
    assert not pool.wait(0)
    assert pool.room == 0
    Path(fifo + ".end").write_text("")
    (held,) = pool.wait()
    assert pid_of(held) == pid
    (big,) = pool.wait()
    assert isinstance(big, Finished)
    assert len(big.result.body) == 50 * MB + 5


def test_a_worker_that_leaks_is_replaced_between_two_tasks(start: Callable[..., LocalPool]):
    pool = start(max_rss=200 * MB)
    leaked, behind = run(pool, [b"leak %d" % (1000 * MB), b"pid"])
    assert pid_of(behind) == pid_of(leaked)  # it was in its pipe
    assert pid_of(run(pool, [b"pid"], 2)[0]) != pid_of(leaked)


def test_a_worker_is_replaced_after_its_share_of_tasks(start: Callable[..., LocalPool]):
    pool = start(max_tasks=3)
    served = [pid_of(event) for event in run(pool, [b"pid"] * 9)]
    assert [served.count(pid) for pid in dict.fromkeys(served)] == [3, 3, 3]


@pytest.mark.parametrize("end", ["exit 4", "kill 9"])
def test_workers_that_never_start_end_each_task_and_not_the_machine(
    start: Callable[..., LocalPool], end: str
):
    pool = start(2, work=Work(end))
    for event in run(pool, [b"pid", b"pid"]):
        assert "3 times in a row" in death_of(event).reason
        assert death_of(event).mark is None


def test_a_task_that_no_worker_can_read_is_given_up_and_the_next_one_runs(start: Callable[..., LocalPool]):
    giant, behind = run(start(work=Work(f"limit {50 * MB}")), [b"echo " + bytes(150 * MB), b"pid"])
    assert death_of(giant).reason == "ran out of memory before it had read the task, 3 times"
    pid_of(behind)


SCRIPT = """
import os, sys, signal
from gristmill.streams.engines.local import LocalPool
from tests.integration.streams.engine_work import Work, task

if __name__ == "__main__":
    pool = LocalPool(2, stdout_to_stderr="aside" in sys.argv)
    pool.start(Work(), timeout=None)
    got = []
    for number in range(4):
        pool.submit(task(number, b"print from a worker"))
    while len(got) < 4:
        got += pool.wait()
    pids = sorted({int(event.result.body) for event in got})
    print(*pids, flush=True)
    if "hang" in sys.argv:
        for number in range(3):
            pool.submit(task(10 + number, b"spin"))
        print("spinning", flush=True)
        pool.wait(None if "wait" in sys.argv else 0.1)
    if "signal" in sys.argv:
        os.killpg(0, signal.SIGINT)
    if "stop" in sys.argv:
        pool.stop()
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)

    def run_it(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, path, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment(),
        )

    return run_it


def test_workers_end_when_their_parent_is_killed(script: Callable[..., subprocess.Popen[str]]):
    with script("hang", "wait", "aside") as parent:
        assert parent.stdout is not None
        workers = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        assert parent.stdout.readline() == "spinning\n"
        parent.kill()
    for worker in workers:
        assert select.select([worker], [], [], 240)[0]
        os.close(worker)


def test_the_interpreter_ends_although_nobody_stopped_the_pool(
    script: Callable[..., subprocess.Popen[str]],
):
    with script("hang", "aside") as parent:
        out, err = parent.communicate(timeout=240)
    assert out.endswith("spinning\n")
    assert "Traceback" not in err
    assert parent.returncode == 0


def test_workers_print_to_standard_error_if_the_output_of_the_run_is_standard_output(
    script: Callable[..., subprocess.Popen[str]],
):
    with script("stop", "aside") as parent:
        out, err = parent.communicate(timeout=240)
    assert "from a worker" not in out
    assert err.count("from a worker") == 4
    with script("stop") as parent:
        out, err = parent.communicate(timeout=240)
    assert out.count("from a worker") == 4
    assert not err


UNGUARDED = """
from gristmill.streams.engines.local import LocalPool
from tests.integration.streams.engine_work import Work, task

pool = LocalPool(1)
pool.start(Work(), timeout=None)
pool.submit(task(0, b"pid"))
print(pool.wait()[0].reason)
"""


def test_a_script_that_starts_itself_over_and_over_is_told_so(tmp_path: Path):
    path = tmp_path / "unguarded.py"
    path.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, env=environment(), timeout=50, check=True
    )
    assert done.stdout.count("exited with code 1") == 1
    assert 'if __name__ == "__main__":' in done.stdout


CTRL_C = """
import os, signal, sys
from gristmill.streams.engines.local import LocalPool
from tests.integration.streams.engine_work import Work, task

if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: print("signal", flush=True))
    pool = LocalPool(1)
    pool.start(Work(), timeout=None)
    pool.submit(task(0, b"hold " + sys.argv[1].encode()))
    print("waiting", flush=True)
    print(type(pool.wait()[0]).__name__, flush=True)
    pool.stop()
"""


def test_ctrl_c_in_a_terminal_is_answered_by_the_parent_alone(tmp_path: Path, fifo: str):
    path = tmp_path / "ctrl_c.py"
    path.write_text(CTRL_C)
    with subprocess.Popen(
        [sys.executable, path, fifo],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(),
    ) as parent:
        Path(fifo).read_text()
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout is not None
        assert [parent.stdout.readline(), parent.stdout.readline()] == ["waiting\n", "signal\n"]
        Path(fifo + ".end").write_text("")
        assert parent.communicate(timeout=240)[0] == "Finished\n"
    assert parent.returncode == 0
