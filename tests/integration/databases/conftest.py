"""A table of users on a real PostgreSQL and in a real SQLite file, and what the database was asked."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_COMMON = """
CREATE TABLE team (id INTEGER PRIMARY KEY);
INSERT INTO team VALUES (1), (2);
CREATE TABLE pair (a INTEGER NOT NULL, b TEXT NOT NULL, n INTEGER, PRIMARY KEY (a, b));
"""
POSTGRES = (
    _COMMON
    + """
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name varchar(20) NOT NULL,
  email text NOT NULL UNIQUE,
  age smallint NOT NULL DEFAULT 18 CHECK (age >= 0),
  team integer REFERENCES team
);
"""
)
SQLITE = (
    _COMMON
    + """
CREATE TABLE users (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL CHECK (length(name) <= 20),
  email TEXT NOT NULL UNIQUE,
  age INTEGER NOT NULL DEFAULT 18 CHECK (age >= 0),
  team INTEGER REFERENCES team
) STRICT;
"""
)


@dataclass
class Place:
    """A database with tables."""

    kind: str
    url: str
    asked: list[str] = field(default_factory=list)

    async def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of the last one."""
        if self.kind == "sqlite":
            import apsw  # noqa: PLC0415 - only where a test needs it

            with contextlib.closing(apsw.Connection(self.url.removeprefix("sqlite:///"))) as connection:
                connection.pragma("journal_mode", "WAL")
                return list(connection.execute(sql))
        import asyncpg  # noqa: PLC0415 - as above

        connection = await asyncpg.connect(self.url)
        try:
            if ";" in sql:
                await connection.execute(sql)
                return []
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()


async def _made(
    kind: str, request: pytest.FixtureRequest, store_url: Any, folder: Path
) -> AsyncIterator[Place]:
    async with contextlib.AsyncExitStack() as stack:
        place = Place(kind, await store_url(kind, request, folder, stack))
        await place.run(SQLITE if kind == "sqlite" else POSTGRES)
        yield place


@pytest.fixture(params=("sqlite", "postgres"))
async def place(request: pytest.FixtureRequest, store_url: Any, tmp_path: Path) -> AsyncIterator[Place]:
    """Yield a database of each kind."""
    async for each in _made(request.param, request, store_url, tmp_path):
        yield each


@pytest.fixture
async def postgres(request: pytest.FixtureRequest, store_url: Any, tmp_path: Path) -> AsyncIterator[Place]:
    """Yield a database on PostgreSQL."""
    async for each in _made("postgres", request, store_url, tmp_path):
        yield each


@pytest.fixture
async def watched_pool(postgres: Place) -> AsyncIterator[Any]:
    """Yield an asyncpg pool that notes every statement in ``postgres.asked``."""
    import asyncpg  # noqa: PLC0415 - as above

    async def watch(connection: Any) -> None:
        connection.add_query_logger(lambda record: postgres.asked.append(record.query))

    pool = await asyncpg.create_pool(postgres.url, min_size=1, max_size=2, init=watch)
    yield pool
    pool.terminate()
