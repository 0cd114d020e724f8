"""A worker process of a soak: `python -m soak.worker URL FOLDER NAME SEED`.

Its handler notes what it sees in FOLDER/history and behaves as badly as users' code does, until there is a
file FOLDER/calm.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import sys
import time
from pathlib import Path

from gristmill import Failed, QueueOptions, Retry, batch
from gristmill.batching.context import BatchContext
from gristmill.queue.service import Jobs
from soak.history import Notes
from soak.pulse import Pulse

LEASE = 2.0
ATTEMPTS = 3
SIZE = 20
SLOTS = 2
BEAT = LEASE / 16
"""Seconds between two beats of the pulse of a process."""
OPTIONS = QueueOptions(
    lease=LEASE, max_crashes=3, retry=Retry(attempts=ATTEMPTS, base=0.05, cap=0.5), max_bytes=1 << 20
)


class Handler:
    """A handler of ill will."""

    def __init__(self, folder: Path, name: str, seed: str) -> None:
        self._calm = folder / "calm"
        self._notes = Notes(folder / "history")
        Pulse(folder / f"pulse-{name}", self._notes, name, BEAT).start()
        self._name = name
        self._random = random.Random(f"{seed}/{name}")  # not by pid: a seed brings the same bad luck again
        self._runs = 0

    async def run(self, items: list[int], ctx: BatchContext) -> list[str | Failed]:
        self._runs += 1
        run = f"{self._name}.{self._runs}"
        self._notes.note("start", run=run, worker=self._name, attempt=ctx.attempt, items=items)
        try:
            answers = await self._misbehave(run, items)
        except asyncio.CancelledError:
            self._notes.note("end", run=run, how="cancelled")
            raise
        except OSError:
            self._notes.note("end", run=run, how="raised")
            raise
        refused = [item for item, answer in zip(items, answers, strict=True) if isinstance(answer, Failed)]
        self._notes.note("end", run=run, how="ok", refused=refused)
        return answers

    async def _misbehave(self, run: str, items: list[int]) -> list[str | Failed]:
        chance = self._random.random
        if self._calm.exists():
            return [run] * len(items)
        await asyncio.sleep(0.03 * chance())
        luck = chance()
        if luck < 0.005:
            self._notes.note("kill", worker=self._name, by="itself")
            os.kill(os.getpid(), signal.SIGKILL)
        elif luck < 0.015:
            time.sleep(LEASE * 1.2 * chance())  # noqa: ASYNC251 - careless code does
        elif luck < 0.03:
            await asyncio.sleep(LEASE * 2 * chance())
        elif luck < 0.07:
            raise OSError("the database behind is away")
        elif luck < 0.25:
            return [self._refusal() if chance() < 0.3 else run for _ in items]
        return [run] * len(items)

    def _refusal(self) -> Failed:
        if self._random.random() < 0.7:
            return Failed("try again", code="flaky", retryable=True)
        return Failed("never", code="broken")


async def main(url: str, folder: Path, name: str, seed: str) -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    handler = Handler(folder, name, seed)

    @batch(name="soak", max_size=SIZE, concurrency=SLOTS, timeout=120)
    async def soak(items: list[int], ctx: BatchContext) -> list[str | Failed]:
        return await handler.run(items, ctx)

    jobs = Jobs([soak], url, options={"soak": OPTIONS})
    await jobs.start_when_there()
    await stop.wait()
    await jobs.stop(random.Random(f"{seed}/{name}/grace").choice((0.0, 1.0, 5.0)))


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s")
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
