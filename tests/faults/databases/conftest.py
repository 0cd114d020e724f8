"""A PostgreSQL of the test's own, to be stopped and started."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.faults.servers import PostgresServer

_WAITING = "wait_event_type = 'Lock' AND backend_type = 'client backend'"


class OwnServer(PostgresServer):
    """A server with a table ``users`` whose emails are unique."""

    async def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run statements and return the rows of a single one."""
        connection = await asyncpg.connect(self.url)
        try:
            if ";" in sql:
                await connection.execute(sql)
                return []
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def crash(self) -> None:
        """Kill the session that waits for a lock; the server ends all others, and recovers by itself."""
        await self.waits()
        (pid,) = (await self.run(f"SELECT pid FROM pg_stat_activity WHERE {_WAITING}"))[0]  # noqa: S608 - ours
        os.kill(pid, signal.SIGKILL)
        while True:
            try:
                await self.run("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0)
            else:
                return

    async def waits(self, sessions: int = 1) -> None:
        """Wait until so many statements wait for a lock."""
        while True:
            found = await self.run(f"SELECT count(*) FROM pg_stat_activity WHERE {_WAITING}")  # noqa: S608 - ours
            if found[0][0] >= sessions:
                return
            await asyncio.sleep(0)


@pytest.fixture(scope="module")
def started_server() -> Iterator[OwnServer]:
    with tempfile.TemporaryDirectory(prefix="gm-db-", ignore_cleanup_errors=True) as folder:
        server = OwnServer(Path(folder))
        try:
            yield server
        finally:
            server.close()


@pytest.fixture
async def server(started_server: OwnServer) -> OwnServer:
    await started_server.run(
        "DROP TABLE IF EXISTS users;CREATE TABLE users (id serial PRIMARY KEY, email text UNIQUE, n integer);"
    )
    return started_server
