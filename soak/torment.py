"""Worker processes that are killed, frozen, stopped and started again, and a store that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from pathlib import Path

from soak.history import Notes
from soak.servers import Server
from soak.worker import LEASE

_STOPS_WITHIN = 40.0
_PACE = 1.5
"""Seconds between two bad things, on average."""
_OUTAGES = 0.15
"""The share of them that hit the store, where it can be hit."""


class Worker:
    """A worker process and its name."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.is_asked_to_stop = False
        self.is_frozen = False

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Crew:
    """Keeps some workers alive, whatever happens to them.

    Args:
        url: Of the store.
        folder: Of the history and the logs.
        seed: Of their bad luck.
        size: How many.
        notes: Where what is done to them is noted.

    Attributes:
        workers: Those that live.
        violations: Of workers that ended as none should.
    """

    def __init__(self, url: str, folder: Path, seed: int, size: int, notes: Notes) -> None:
        self._command = (sys.executable, "-m", "soak.worker", url, str(folder))
        self._seed = seed
        self._size = size
        self._notes = notes
        self._log = (folder / "log").open("ab")
        self._started = 0
        self._is_over = False
        self._tasks: list[asyncio.Task[None]] = []
        self.workers: list[Worker] = []
        self.violations: list[str] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep()) for _ in range(self._size)]

    async def _keep(self) -> None:
        """Run one worker after another."""
        while not self._is_over:
            self._started += 1
            name = f"w{self._started}"
            process = await asyncio.create_subprocess_exec(
                *self._command, name, str(self._seed), stdout=self._log, stderr=self._log
            )
            worker = Worker(name, process)
            self.workers.append(worker)
            if self._is_over:  # it was on its way while all the others were told to stop
                worker.signal(signal.SIGKILL)
            code = await process.wait()
            self._notes.note("exit", worker=name, code=code)
            self.workers.remove(worker)
            if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
                self.violations.append(f"worker {name} ended with code {code}: see the log")
            elif code == 0 and not worker.is_asked_to_stop:
                self.violations.append(f"worker {name} ended by itself")

    async def stop(self, worker: Worker) -> None:
        """Ask *worker* to end, as a deploy does."""
        worker.is_asked_to_stop = True
        worker.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOPS_WITHIN):
                await worker.process.wait()
        except TimeoutError:
            self.violations.append(f"worker {worker.name} did not stop within {_STOPS_WITHIN} seconds")
            self._notes.note("kill", worker=worker.name, by="impatience")
            worker.signal(signal.SIGKILL)

    async def close(self) -> None:
        """Stop them all."""
        self._is_over = True
        try:
            await asyncio.gather(*(self.stop(worker) for worker in self.workers))
            await asyncio.gather(*self._tasks)
        finally:
            for worker in self.workers:
                worker.signal(signal.SIGKILL)
            for task in self._tasks:
                task.cancel()
            self._log.close()


class Tormentor:
    """Does one bad thing after another to a crew and its store."""

    def __init__(self, crew: Crew, server: Server, seed: int, notes: Notes) -> None:
        self._crew = crew
        self._server = server
        self._random = random.Random(f"{seed}/tormentor")
        self._notes = notes
        self._actions = (self._kill, self._kill, self._freeze, self._freeze, self._term)

    async def act(self, until: float) -> None:
        """Torment until the monotonic time *until*; all that was frozen or stopped is well afterwards."""
        async with asyncio.TaskGroup() as group:
            outage: asyncio.Task[None] | None = None
            while (left := until - time.monotonic()) > 0:
                await asyncio.sleep(min(left, self._random.expovariate(1 / _PACE)))
                if self._server.can_stop and self._random.random() < _OUTAGES:
                    if outage is None or outage.done():
                        outage = group.create_task(self._restart())
                    continue
                action = self._random.choice(self._actions)
                free = [each for each in self._crew.workers if not (each.is_asked_to_stop or each.is_frozen)]
                if free:
                    group.create_task(action(self._random.choice(free)))

    async def _kill(self, worker: Worker) -> None:
        self._notes.note("kill", worker=worker.name, by="tormentor")
        worker.signal(signal.SIGKILL)

    async def _freeze(self, worker: Worker) -> None:
        """Stop *worker* where it stands; but not for long while it holds the lock of the one file."""
        worker.is_frozen = True
        seconds = LEASE * self._random.choice((0.2, 1.3, 2.0))
        self._notes.note("freeze", worker=worker.name)
        worker.signal(signal.SIGSTOP)
        if not self._server.can_stop:
            while not await asyncio.to_thread(_is_writable, self._server.url):
                worker.signal(signal.SIGCONT)
                await asyncio.sleep(0.001)
                worker.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        worker.signal(signal.SIGCONT)
        self._notes.note("thaw", worker=worker.name)
        worker.is_frozen = False

    async def _term(self, worker: Worker) -> None:
        self._notes.note("term", worker=worker.name)
        await self._crew.stop(worker)

    async def _restart(self) -> None:
        seconds = LEASE * self._random.choice((0.0, 0.0, 0.5, 1.5))
        self._notes.note("stop")
        await asyncio.to_thread(self._server.stop, hard=self._random.random() < 0.7)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.start)
        self._notes.note("back")


def _is_writable(url: str) -> bool:
    import apsw  # noqa: PLC0415 - only where it is wanted

    connection = apsw.Connection(url.removeprefix("sqlite:///"))
    connection.set_busy_timeout(200)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except apsw.BusyError:
        return False
    finally:
        connection.close()
    return True
