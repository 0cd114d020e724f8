"""Real workers on real stores, killed, stopped and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gristmill import batch
from gristmill.model.job import Job
from gristmill.queue.service import Jobs

SCRIPT = Path(__file__).with_name("worker.py")


class WorkerProcess:
    """One worker process and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def says(self, start: str) -> str:
        """Return the next line that begins with *start*; the process must live to say it."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.lines.append(line.strip())
            if line.startswith(start):
                return line.strip()
        assert self.process.stderr is not None
        said = (await self.process.stderr.read()).decode()
        raise AssertionError(f"the worker ended without saying {start!r}: {said[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        return await self.process.wait()

    async def kill(self) -> None:
        """Kill -9."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class Mill:
    """A store, its jobs as the test sees them, and workers in processes of their own."""

    def __init__(self, url: str, folder: Path) -> None:
        @batch(name="numbers")
        async def numbers(items: list[int]) -> list[int]:
            raise AssertionError(f"this process runs nothing, not even {items}")

        @batch(name="beside")
        async def beside(items: list[int]) -> list[int]:
            raise AssertionError(f"this process runs nothing, not even {items}")

        self.url = url
        self.folder = folder
        self.jobs = Jobs([numbers, beside], url)
        self.workers: list[WorkerProcess] = []

    async def worker(self, *options: str, url: str | None = None) -> WorkerProcess:
        """Start a worker and wait until it is ready; *url* is its own way to the store."""
        worker = await self.run(str(SCRIPT), url or self.url, str(self.folder), *options)
        await worker.says("ready")
        return worker

    async def run(self, *script: str) -> WorkerProcess:
        """Start a process of a Python script and its arguments."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *script,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        worker = WorkerProcess(process)
        self.workers.append(worker)
        return worker

    async def freeze(self, worker: WorkerProcess) -> None:
        """Stop *worker* where it stands, but not while it holds the lock of the one file."""
        worker.signal(signal.SIGSTOP)
        while self.url.startswith("sqlite") and not self._is_writable():
            worker.signal(signal.SIGCONT)
            await asyncio.sleep(0)
            worker.signal(signal.SIGSTOP)

    def _is_writable(self) -> bool:
        import apsw  # noqa: PLC0415 - only where a test needs it

        connection = apsw.Connection(self.url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(500)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except apsw.BusyError:
            return False
        finally:
            connection.close()
        return True

    def go(self) -> None:
        """Let handlers that wait go on, those to come too."""
        (self.folder / "go").touch()

    def seen(self) -> Counter[int]:
        """How often each item was seen by a handler."""
        return Counter(item for item, _ in self.attempts())

    def attempts(self) -> list[tuple[int, int]]:
        """Item and attempt of each time that a handler saw an item."""
        return [(item, attempt) for item, attempt, _ in self.moments()]

    def moments(self) -> list[tuple[int, int, float]]:
        """Item, attempt and monotonic seconds of each time that a handler saw an item."""
        path = self.folder / "seen"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(item), int(attempt), float(at)) for item, attempt, at, _ in lines]

    async def done(self, job: str, seconds: float = 240) -> Job:
        """Return *job* once it is final, every item in exactly one place and with exactly one last result."""
        found = await self.jobs.wait(job, timeout=seconds)
        counts = found.counts
        assert counts.succeeded + counts.failed + counts.cancelled == counts.total
        places = [item.place async for item in self.jobs.results(job)]
        assert sorted(places) == list(range(counts.total))
        for status in await self.jobs.queues():
            assert (status.ready, status.scheduled, status.blocked, status.running) == (0, 0, 0, 0)
        return found

    async def close(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGCONT)
            await worker.kill()
        await self.jobs.stop()


@pytest.fixture(params=("sqlite", "postgres", "redis"))
def store_kind(request: pytest.FixtureRequest) -> str:
    """Which store."""
    kind: str = request.param
    return kind


@pytest.fixture
def mill_at(tmp_path: Path) -> Any:
    """What makes a mill over a store that is there."""

    @contextlib.asynccontextmanager
    async def make(url: str) -> AsyncIterator[Mill]:
        made = Mill(url, tmp_path)
        try:
            yield made
        finally:
            await made.close()

    return make


@pytest.fixture
async def mill(
    store_kind: str, store_url: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Mill]:
    async with contextlib.AsyncExitStack() as stack:
        url = await store_url(store_kind, request, tmp_path, stack)
        made = Mill(url, tmp_path)
        stack.push_async_callback(made.close)
        yield made
