"""``gristmill work`` and ``gristmill jobs`` as processes, over an SQLite file."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gristmill import batch
from gristmill.queue.service import Jobs

T = TypeVar("T")

GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
HANDLERS = """
import asyncio, os, time
from gristmill import App, BatchContext, Failed, batch

@batch(name="words")
async def words(items: list[str], ctx: BatchContext) -> list[str | Failed]:
    print("batch", os.getpid(), ctx.attempt, type(asyncio.get_running_loop()).__module__, flush=True)
    return [Failed("no word", "bad") if item == "" else item.upper() for item in items]

@batch(name="waits", max_size=1)
async def waits(items: list[str], ctx: BatchContext) -> list[str]:
    print("waiting", ctx.attempt, flush=True)
    while not os.path.exists(items[0]):
        await asyncio.sleep(0.01)
    return items

@batch(name="blocks", timeout=None)
async def blocks(items: list[int]) -> list[int]:
    print("blocking", flush=True)
    time.sleep(600)
    return items

app = App(handlers=[words, waits, blocks])
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(HANDLERS)
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "GRISTMILL_APP": "shop:app", "PYTHONUNBUFFERED": "1", "COLUMNS": "80"}


def gristmill(*words: str, cwd: Path, input: str = "", code: int = 0) -> str:
    """Run a command to its end, and return what it says on stdout."""
    done = subprocess.run(
        [GRISTMILL, *words],
        cwd=cwd,
        env=environment(),
        input=input,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


@batch(name="words")
async def words(items: list[str]) -> list[str]:
    raise AssertionError(f"this process runs nothing, not even {items}")


@batch(name="waits")
async def waits(items: list[str]) -> list[str]:
    raise AssertionError(f"this process runs nothing, not even {items}")


@batch(name="blocks")
async def blocks(items: list[int]) -> list[int]:
    raise AssertionError(f"this process runs nothing, not even {items}")


def with_jobs(cwd: Path, do: Callable[[Jobs], Awaitable[T]]) -> T:
    """Return what *do* makes of the jobs of *cwd*, without one more command for what is not tested."""

    async def run() -> T:
        jobs = Jobs([words, waits, blocks], f"sqlite:///{cwd / 'gristmill.db'}")
        try:
            return await do(jobs)
        finally:
            await jobs.stop()

    return asyncio.run(run())


def enqueue(cwd: Path, handler: str, *items: Any) -> str:
    async def do(jobs: Jobs) -> str:
        return (await jobs.enqueue(handler, items)).id

    return with_jobs(cwd, do)


def counts(cwd: Path, job: str) -> dict[str, int]:
    found = with_jobs(cwd, lambda jobs: jobs.get(job)).counts
    return {name: number for name, number in asdict(found).items() if number and name != "total"}


def await_end(cwd: Path, job: str) -> None:
    with_jobs(cwd, lambda jobs: jobs.wait(job, timeout=240))


class Working:
    """A ``gristmill work`` that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said = ""

    def await_line(self, pattern: str) -> re.Match[str]:
        """Return the next line of what it says, log included, in which *pattern* is."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if (found := re.search(pattern, line)) is not None:
                return found
        return pytest.fail(f"it never said {pattern!r}: {self.said}")

    def end(self) -> int:
        """Return the exit code, once it has one."""
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        return self.process.wait(timeout=240)

    def tell(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def insist(self) -> int:
        """Send signals until it ends, and return its exit code: those that come too soon count as one."""
        while True:
            self.tell()
            try:
                return self.process.wait(timeout=0.4)
            except subprocess.TimeoutExpired:
                continue


@contextmanager
def working(cwd: Path, *words: str) -> Iterator[Working]:
    process = subprocess.Popen(
        [GRISTMILL, "work", "shop:app", *words],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Working(process)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_what_one_process_enqueues_another_works(place: Path) -> None:
    told = gristmill("jobs", "enqueue", "words", "-", "--json", cwd=place, input='"a"\n""\n"b"\n')
    job = json.loads(told)["id"]
    with working(place, "--name", "me") as worker:
        worker.await_line(r"^gristmill \S+ works words, waits, blocks in sqlite:///gristmill.db as me$")
        loop = worker.await_line("batch").string.split()[3]
        lines = gristmill("jobs", "results", job, "--follow", "--ordered", cwd=place).splitlines()
        worker.tell()
        assert worker.end() == 0
    shown = json.loads(gristmill("jobs", "show", job, "--json", cwd=place))
    assert (shown["counts"]["succeeded"], shown["counts"]["failed"]) == (2, 1)
    assert lines == ['0  succeeded  "A"', "1  failed     bad: no word", '2  succeeded  "B"']
    assert loop.startswith("uvloop")


def test_only_the_queues_that_are_named_are_worked(place: Path) -> None:
    first, second = enqueue(place, "words", "a"), enqueue(place, "waits", "shop.py")
    with working(place, "--queues", "waits") as worker:
        worker.await_line("works waits in")
        await_end(place, second)
        worker.tell()
        assert worker.end() == 0
    assert (counts(place, first), counts(place, second)) == ({"queued": 1}, {"succeeded": 1})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_batch_may_end_within_the_grace(place: Path, number: int) -> None:
    job = enqueue(place, "waits", "go")
    with working(place) as worker:
        worker.await_line("waiting 1")
        worker.process.send_signal(number)
        worker.await_line("stopping: batches get 25 s to end")
        (place / "go").touch()
        assert worker.end() == 0
    assert counts(place, job) == {"succeeded": 1}
    assert "Traceback" not in worker.said


@pytest.mark.parametrize("words", [("--grace", "0"), ("--grace", "0.2"), ()])
def test_a_batch_that_does_not_end_is_given_back_without_penalty(place: Path, words: tuple[str, ...]) -> None:
    job = enqueue(place, "waits", "go")
    with working(place, *words) as worker:
        worker.await_line("waiting 1")
        if words:
            worker.tell()
            assert worker.end() == 0
        else:  # within the grace of 25 seconds a second signal ends it
            worker.tell()
            worker.await_line("stopping: batches get 25 s to end")
            with pytest.raises(subprocess.TimeoutExpired):
                worker.process.wait(timeout=0.4)  # one that comes sooner counts as the same
            worker.tell()
            assert worker.end() == 0
    assert counts(place, job) == {"queued": 1}
    (place / "go").touch()
    with working(place) as worker:
        worker.await_line("waiting 1")  # it is still the first attempt
        await_end(place, job)
        worker.tell()
        assert worker.end() == 0
    assert counts(place, job) == {"succeeded": 1}


def test_a_third_signal_waits_for_nobody(place: Path) -> None:
    enqueue(place, "blocks", 1)
    with working(place) as worker:
        worker.await_line("blocking")
        assert worker.insist() == 128 + signal.SIGTERM


def test_processes_that_die_are_started_again_and_all_stop_together(place: Path) -> None:
    with working(place, "--processes", "2", "--name", "me", "--queues", "words") as worker:
        names = {worker.await_line(r"works words in \S+ as (\S+)")[1] for _ in range(2)}
        assert names == {"me-1", "me-2"}
        enqueue(place, "words", "a")
        victim = int(worker.await_line(r"batch (\d+)")[1])
        os.kill(victim, signal.SIGKILL)
        worker.await_line(r"a worker process ended by itself with -9; another starts in \d\.\d s")
        worker.await_line("works words in")
        worker.tell()
        assert worker.end() == 0


def test_worker_processes_stop_when_their_supervisor_is_killed(place: Path) -> None:
    with working(place, "--processes", "2", "--queues", "words") as worker:
        for _ in range(2):
            worker.await_line("works words in")
        worker.process.kill()
        worker.end()  # their common stdout is at its end: they are gone


def test_a_store_that_cannot_be_used_as_it_is_is_one_line(place: Path) -> None:
    (place / "gristmill.db").write_text("this is no database, and it is long enough to be seen as none" * 20)
    with working(place) as worker:
        assert worker.end() == 2
    assert worker.said.startswith("gristmill: error: ")
    assert "is no SQLite database" in worker.said
    assert worker.said.count("\n") == 1


def test_several_processes_give_up_together_on_what_cannot_work(place: Path) -> None:
    (place / "gristmill.db").write_text("this is no database, and it is long enough to be seen as none" * 20)
    with working(place, "--processes", "2") as worker:
        assert worker.end() == 2
    assert "is no SQLite database" in worker.said


def interrupted(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Send Ctrl-C and return what is said from then on."""
    try:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=240)
    finally:
        process.kill()


def started(cwd: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [GRISTMILL, "jobs", *words],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_a_reader_quietly(place: Path) -> None:
    job = enqueue(place, "words", "a", "b")
    gristmill("jobs", "cancel", job, "--item", "0", cwd=place)
    with started(place, "results", job, "--follow") as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "0  cancelled\n"
        assert interrupted(reader) == ("", "")
        assert reader.returncode == 130


def test_ctrl_c_ends_a_read_that_waits_and_nothing_is_stored(place: Path) -> None:
    os.mkfifo(place / "items")
    with started(place, "enqueue", "words", "items") as writer, (place / "items").open("w") as items:
        items.write('"a"\n')
        items.flush()
        out, err = interrupted(writer)
        assert (out, "Traceback" in err) == ("", False)
        assert writer.returncode in (1, 130)  # 1 while it was not reading yet
    enqueue(place, "words")
    assert len(json.loads(gristmill("jobs", "list", "--json", cwd=place))["jobs"]) == 1


def test_serve_can_leave_the_queues_to_others(place: Path) -> None:
    process = subprocess.Popen(
        [GRISTMILL, "serve", "shop:app", "--port", "0", "--no-worker"],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        while " Jobs " not in (line := process.stdout.readline()):
            assert line
        assert line.endswith("/v1/jobs in sqlite:///gristmill.db, worked by gristmill work\n")
    finally:
        process.terminate()
        assert process.wait(timeout=240) == 0
        if process.stdout is not None:
            process.stdout.close()
