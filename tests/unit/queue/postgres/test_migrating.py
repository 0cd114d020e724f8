"""Making the schema, and refusing servers that would lose jobs."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import asyncpg
import pytest

from gristmill.errors import StoreMisconfigured, StoreReadOnly, StoreVersion
from gristmill.queue.postgres.migrating import durability_of
from gristmill.queue.postgres.statements import migrations
from gristmill.queue.postgres.store import PostgresStore

OPEN = """
import asyncio, sys
from gristmill.queue.postgres.store import PostgresStore
async def main():
    sys.stdin.read(1)
    stores = [PostgresStore(sys.argv[1]) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))
    for store in stores:
        await store.close()
print("ready", flush=True)
asyncio.run(main())
"""


async def test_several_processes_open_an_empty_database_at_once(url: str, sql: asyncpg.Connection) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN, url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0, 0]
    versions = await sql.fetch("SELECT version FROM gristmill.migration ORDER BY version")
    assert [row["version"] for row in versions] == list(range(1, len(migrations("gristmill")) + 1))


async def test_opening_again_changes_nothing(store: PostgresStore, worker: Any) -> None:
    await worker.submit(3)
    await store.open()
    assert await worker.drain() == 3


async def test_a_newer_schema_is_refused(store: PostgresStore, url: str, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO gristmill.migration (version) VALUES (99)")
    another = PostgresStore(url)
    with pytest.raises(StoreVersion, match="version 99"):
        await another.open()
    await another.close()


async def test_an_older_schema_is_brought_up_to_date(url: str, sql: asyncpg.Connection) -> None:
    await sql.execute("CREATE SCHEMA gristmill")
    await sql.execute("CREATE TABLE gristmill.migration (version integer PRIMARY KEY, at timestamptz)")
    await sql.execute(migrations("gristmill")[0])
    await sql.execute("INSERT INTO gristmill.migration VALUES (1)")
    store = PostgresStore(url)
    await store.open()
    await store.close()
    assert await sql.fetchval("SELECT max(version) FROM gristmill.migration") == len(migrations("gristmill"))


async def test_two_schemas_in_one_database_are_two_queues(
    store: PostgresStore, url: str, worker_of: Any
) -> None:
    other = PostgresStore(f"{url}{'&' if '?' in url else '?'}schema=other")
    await other.open()
    await worker_of(other).submit(1)
    assert await worker_of(store).drain() == 0
    assert await worker_of(other).drain() == 1
    await other.close()


async def test_a_user_without_rights_to_create_may_open_what_is_there(
    store: PostgresStore, url: str, sql: asyncpg.Connection, worker_of: Any
) -> None:
    await sql.execute("DROP ROLE IF EXISTS clerk")
    await sql.execute("CREATE ROLE clerk LOGIN")
    await sql.execute("GRANT USAGE ON SCHEMA gristmill TO clerk")
    await sql.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA gristmill TO clerk")
    await sql.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA gristmill TO clerk")
    clerk = url.replace("//postgres:@", "//clerk@")
    assert clerk != url
    theirs = PostgresStore(clerk)
    await theirs.open()
    await worker_of(theirs).submit(2, key="k")
    assert await worker_of(theirs).drain() == 2
    await theirs.close()
    elsewhere = PostgresStore(f"{clerk}&schema=elsewhere")
    with pytest.raises(StoreMisconfigured, match="CREATE on the database"):
        await elsewhere.open()
    await elsewhere.close()
    await sql.execute("DROP OWNED BY clerk")
    await sql.execute("DROP ROLE clerk")


SAFE = {
    "version": 180000,
    "is_read_only": False,
    "fsync": True,
    "full_page_writes": True,
    "synchronous_commit": "on",
    "standbys": "",
    "isolation": "read committed",
    "encoding": "UTF8",
}


def test_what_a_job_survives_is_told_in_words() -> None:
    assert durability_of(SAFE) == "fsync on commit"
    assert "standbys" in durability_of(SAFE | {"standbys": "*"})
    assert durability_of(SAFE | {"standbys": "*", "synchronous_commit": "local"}) == "fsync on commit"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("version", 130008, "14"),
        ("fsync", False, "fsync is off"),
        ("full_page_writes", False, "full_page_writes is off"),
        ("synchronous_commit", "off", "synchronous_commit is off"),
        ("isolation", "serializable", "read committed"),
        ("encoding", "SQL_ASCII", "UTF8"),
    ],
)
def test_a_server_that_would_lose_jobs_is_refused(name: str, value: object, text: str) -> None:
    with pytest.raises(StoreMisconfigured, match=text):
        durability_of(SAFE | {name: value})


def test_a_standby_is_refused() -> None:
    with pytest.raises(StoreReadOnly, match="primary"):
        durability_of(SAFE | {"is_read_only": True})


async def test_the_settings_of_the_database_are_looked_at(url: str, sql: asyncpg.Connection) -> None:
    database = await sql.fetchval("SELECT current_database()")
    await sql.execute(f"ALTER DATABASE {database} SET synchronous_commit = off")
    store = PostgresStore(url)
    with pytest.raises(StoreMisconfigured, match="synchronous_commit"):
        await store.open()
    await store.close()
