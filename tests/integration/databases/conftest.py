"""A table of users on a real PostgreSQL and in a real SQLite file, and what the database was asked."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
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

MARIADB = """
CREATE TABLE team (id INTEGER PRIMARY KEY);
INSERT INTO team VALUES (1), (2);
CREATE TABLE pair (a INTEGER NOT NULL, b VARCHAR(20) NOT NULL, n INTEGER, PRIMARY KEY (a, b));
CREATE TABLE users (
  id BIGINT PRIMARY KEY AUTO_INCREMENT,
  name VARCHAR(20) NOT NULL,
  email VARCHAR(100) NOT NULL UNIQUE,
  age SMALLINT NOT NULL DEFAULT 18 CHECK (age >= 0),
  team INTEGER REFERENCES team (id)
);
"""


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
        if self.kind == "mariadb":
            return await self._run_mariadb(sql)
        import asyncpg  # noqa: PLC0415 - as above

        connection = await asyncpg.connect(self.url)
        try:
            if ";" in sql:
                await connection.execute(sql)
                return []
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        """Yield a connection of the caller's own, in a transaction that is committed at the end."""
        if self.kind == "sqlite":
            import apsw  # noqa: PLC0415 - as above

            with contextlib.closing(apsw.Connection(self.url.removeprefix("sqlite:///"))) as own, own:
                yield own
        elif self.kind == "mariadb":
            import aiomysql  # noqa: PLC0415 - as above

            from gristmill.databases.mysql.backend import options_of  # noqa: PLC0415 - as above

            connection = await aiomysql.connect(**options_of(self.url))
            await connection.begin()
            yield connection
            await connection.commit()
            connection.close()
        else:
            import asyncpg  # noqa: PLC0415 - as above

            connection = await asyncpg.connect(self.url)
            async with connection.transaction():
                yield connection
            await connection.close()

    async def _run_mariadb(self, sql: str) -> list[tuple[Any, ...]]:
        import aiomysql  # noqa: PLC0415 - as above

        from gristmill.databases.mysql.backend import options_of  # noqa: PLC0415 - as above

        connection = await aiomysql.connect(**options_of(self.url), autocommit=True)
        rows: list[tuple[Any, ...]] = []
        async with connection.cursor() as cursor:
            for statement in filter(str.strip, sql.split(";")):
                await cursor.execute(statement)
                rows = list(await cursor.fetchall())
        connection.close()
        return rows


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """The URL of a real MariaDB, without a database; a test is skipped where none is installed."""
    install, program = shutil.which("mariadb-install-db"), shutil.which("mariadbd", path=_PATH)
    helper = shutil.which("my_print_defaults")
    if install is None or program is None or helper is None:
        pytest.skip("no MariaDB is installed: apt-get install mariadb-server-core mariadb-client")
    with tempfile.TemporaryDirectory(prefix="gm-my-", ignore_cleanup_errors=True) as folder:
        data, socket = f"{folder}/data", f"{folder}/s"
        owner = getpass.getuser()
        subprocess.run(
            [install, "--no-defaults", f"--datadir={data}", f"--user={owner}", "--skip-test-db"],
            check=True,
            capture_output=True,
        )
        with Path(f"{folder}/log").open("wb") as log:
            server = subprocess.Popen(
                [program, "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--user={owner}",
                 "--skip-networking", "--skip-grant-tables", f"--pid-file={folder}/pid"],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            while not Path(socket).exists():
                assert server.poll() is None, Path(f"{folder}/log").read_text()
                time.sleep(0.005)
            yield f"mysql://root@localhost/{{}}?unix_socket={socket}"
        finally:
            server.terminate()
            server.wait()


async def _mariadb(request: pytest.FixtureRequest, stack: contextlib.AsyncExitStack) -> str:
    server: str = request.getfixturevalue("mariadb_server")
    name = f"t{uuid.uuid4().hex}"
    admin = Place("mariadb", server.format("mysql"))
    await admin.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    stack.push_async_callback(admin.run, f"DROP DATABASE {name}")
    return server.format(name)


async def _made(
    kind: str, request: pytest.FixtureRequest, store_url: Any, folder: Path
) -> AsyncIterator[Place]:
    async with contextlib.AsyncExitStack() as stack:
        if kind == "mariadb":
            place = Place(kind, await _mariadb(request, stack))
        else:
            place = Place(kind, await store_url(kind, request, folder, stack))
        await place.run({"sqlite": SQLITE, "mariadb": MARIADB, "postgres": POSTGRES}[kind])
        yield place


@pytest.fixture(params=("sqlite", "postgres", "mariadb"))
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
async def mariadb(request: pytest.FixtureRequest, store_url: Any, tmp_path: Path) -> AsyncIterator[Place]:
    """Yield a database on MariaDB."""
    async for each in _made("mariadb", request, store_url, tmp_path):
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
