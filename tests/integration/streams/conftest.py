from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


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
