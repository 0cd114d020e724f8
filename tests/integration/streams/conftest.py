"""``gristmill run`` in a folder, and databases to read and write."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gristmill.cli.commands import app as command

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Ran:
    """What a command left behind.

    Attributes:
        code: Its exit code.
        said: What it wrote to standard error.
        out: What it wrote to standard output.
    """

    code: int
    said: str
    out: bytes


def _referred(handler: str) -> str:
    return handler if ":" in handler else f"mill:{handler}"


class Mill:
    """Runs commands in a folder.

    Attributes:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start ``gristmill run`` with *words*, the first a handler, of mill.py unless it says so."""
        handler, *others = words
        return subprocess.Popen(
            [sys.executable, "-m", "gristmill.cli", "run", _referred(handler), *others, "--progress", "none"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *words: str, text: bytes | None = None) -> Ran:
        """Run the command to its end, with *text* on its standard input."""
        process = self.start(*words, stdin=subprocess.DEVNULL if text is None else subprocess.PIPE)
        try:
            out, said = process.communicate(text, timeout=240)
        finally:
            process.kill()
        return Ran(process.returncode, said.decode(), out)

    def end(self, *words: str, code: int = 0) -> str:
        """Run the command with two workers, check its exit code, and return what it said."""
        ran = self.run(*words, "--workers", "2")
        assert ran.code == code, ran.said
        assert "Traceback" not in ran.said
        return ran.said

    def go(self, *words: str, code: int = 0) -> str:
        """Run the command in this process, check its exit code, and return what it said."""
        handler, *others = words
        line = ["run", _referred(handler), *others, "--workers", "0", "--progress", "none"]
        found = CliRunner(env={"COLUMNS": "200"}).invoke(command, line, catch_exceptions=False)
        assert found.exit_code == code, found.stderr
        return found.stderr

    def read(self, name: str = "out.csv") -> list[dict[str, str]]:
        """Return the rows of a CSV file."""
        text = (self.folder / name).read_bytes().decode()
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    def letters(self, name: str = "out.csv.dead.ndjson") -> list[dict[str, Any]]:
        """Return the dead letters of a run; none if there is no file."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def mill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mill:
    """A folder to run commands in, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(HERE))
    return Mill(tmp_path)


class PostgresDatabase:
    """An empty database of a real server."""

    kind = "postgresql"

    def __init__(self, url: str) -> None:
        self.url = url

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        import asyncpg  # noqa: PLC0415 - only where a test needs the server

        async def run() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url)
            try:
                if not values and ";" in text:
                    await connection.execute(text)
                    return []
                return list(map(tuple, await connection.fetch(text, *values)))
            finally:
                await connection.close()

        return asyncio.run(run())

    def table(self, name: str) -> str:
        return f"{self.url}#{name}"


class SqliteDatabase:
    """An empty file."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.sql("PRAGMA user_version = 1")

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        import apsw  # noqa: PLC0415 - as above

        connection = apsw.Connection(str(self.path))
        try:
            return list(connection.execute(text, values))
        finally:
            connection.close()

    def table(self, name: str) -> str:
        return f"{self.url}#{name}"


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[PostgresDatabase]:
    name = f"t{uuid.uuid4().hex}"
    admin = PostgresDatabase(postgres_server)
    admin.sql(f"CREATE DATABASE {name}")
    before, _, query = postgres_server.partition("?")
    yield PostgresDatabase(f"{before.rsplit('/', 1)[0]}/{name}?{query}")
    admin.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "data.db")


@pytest.fixture(params=["postgresql", "sqlite"])
def database(request: pytest.FixtureRequest) -> PostgresDatabase | SqliteDatabase:
    found: PostgresDatabase | SqliteDatabase = request.getfixturevalue(
        "postgres" if request.param == "postgresql" else "sqlite"
    )
    return found


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[Sequence[Any]], str]:
    """What writes rows as JSON lines, and returns the path."""

    def write(rows: Sequence[Any]) -> str:
        import msgspec  # noqa: PLC0415 - beside its use

        path = tmp_path / "rows.ndjson"
        path.write_bytes(msgspec.json.Encoder().encode_lines(rows))
        return str(path)

    return write
