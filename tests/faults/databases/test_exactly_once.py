"""What a writer wrote in the transaction of a queue's batch is there exactly once, whoever is killed when."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gristmill import batch
from gristmill.queue.service import Jobs

TABLE = "CREATE TABLE effect (item INTEGER PRIMARY KEY CHECK (item <> 13))"


class Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, url: str, folder: Path) -> Worker:
        script = str(Path(__file__).with_name("effects.py"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, url, str(folder), stdout=asyncio.subprocess.PIPE
        )
        return cls(process)

    async def says(self, start: str) -> None:
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            if line.startswith(start):
                return
        raise AssertionError(f"the worker ended without saying {start!r}")

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


async def execute(url: str, sql: str) -> list[tuple[Any, ...]]:
    if url.startswith("sqlite"):
        import apsw  # noqa: PLC0415 - only where a test needs it

        with contextlib.closing(apsw.Connection(url.removeprefix("sqlite:///"))) as connection:
            connection.set_busy_timeout(5000)
            return list(connection.execute(sql))
    import asyncpg  # noqa: PLC0415 - as above

    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@pytest.fixture(params=("sqlite", "postgres"))
async def url(request: pytest.FixtureRequest, store_url: Any, tmp_path: Path) -> AsyncIterator[str]:
    async with contextlib.AsyncExitStack() as stack:
        yield await store_url(request.param, request, tmp_path, stack)


async def test_a_worker_killed_between_the_rows_and_the_settlement_leaves_the_effects_once(
    url: str, tmp_path: Path
) -> None:
    @batch(name="numbers")
    async def numbers(items: list[int]) -> list[int]:
        raise AssertionError(f"this process runs nothing, not even {items}")

    jobs = Jobs([numbers], url)
    await jobs.open()
    await execute(url, TABLE)
    ref = await jobs.enqueue("numbers", range(30))
    workers = [await Worker.start(url, tmp_path)]
    try:
        await workers[0].says("wrote 30")
        assert await execute(url, "SELECT * FROM effect") == []
        await workers[0].kill()
        (tmp_path / "go").touch()
        workers.append(await Worker.start(url, tmp_path))
        done = await jobs.wait(ref.id, timeout=240)
    finally:
        for worker in workers:
            await worker.kill()
    assert (done.counts.succeeded, done.counts.failed) == (29, 1)
    (failed,) = [item async for item in jobs.results(ref.id) if item.failure]
    assert (failed.place, failed.failure.code) == (13, "check_violation")
    await jobs.stop()
    assert await execute(url, "SELECT item FROM effect ORDER BY item") == [(n,) for n in range(30) if n != 13]
