from __future__ import annotations

import apsw
import pytest

from gristmill.errors import StoreVersion
from gristmill.queue.sqlite.schema import migrate
from gristmill.queue.sqlite.statements import migrations
from gristmill.queue.sqlite.store import SqliteStore

OPEN_AND_ENQUEUE = """
import asyncio, sys
from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.queue.sqlite.store import SqliteStore

async def main(url, job):
    print("ready", flush=True)
    sys.stdin.readline()
    store = SqliteStore(url)
    await store.open()
    chunk = NewChunk(job=job, places=((0, 1),), items=1, body=b"[1]")
    await store.enqueue([(NewJob(id=job, queue="numbers"), [chunk])])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def tables(path):
    connection = apsw.Connection(str(path))
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    finally:
        connection.close()


def test_every_name_is_ours_to_have(path):
    connection = apsw.Connection(str(path))
    migrate(connection, path)
    connection.close()
    assert all("gristmill" in name or name == "sqlite_sequence" for name in tables(path))


def test_migrating_twice_changes_nothing(path):
    connection = apsw.Connection(str(path))
    migrate(connection, path)
    before = connection.total_changes()
    migrate(connection, path)
    assert connection.total_changes() == before
    connection.close()


def test_a_migration_that_fails_leaves_nothing(path):
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE gristmill_queue (it_is_in_the_way)")
    with pytest.raises(apsw.SQLError):
        migrate(connection, path)
    connection.close()
    assert tables(path) == {"gristmill_queue"}


async def test_several_processes_may_make_the_file_at_once(path, python):
    url = f"sqlite:///{path}"
    processes = [python(OPEN_AND_ENQUEUE, url, f"job_{number:026d}") for number in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 4
    store = SqliteStore(url)
    await store.open()
    assert len((await store.jobs()).jobs) == 4
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(path):
    store = SqliteStore(f"sqlite:///{path}")
    await store.open()
    await store.close()
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO gristmill_schema VALUES (?)", (len(migrations()) + 1,))
    connection.close()
    store = SqliteStore(f"sqlite:///{path}")
    for _ in range(2):
        with pytest.raises(StoreVersion, match="a newer Gristmill wrote"):
            await store.open()
    await store.close()


async def test_an_older_schema_is_brought_up_to_date(path):
    connection = apsw.Connection(str(path))
    connection.execute(migrations()[0])
    connection.execute("INSERT INTO gristmill_schema VALUES (1)")
    migrate(connection, path)
    older = shape(connection)
    connection.close()
    path.unlink()
    connection = apsw.Connection(str(path))
    migrate(connection, path)
    assert shape(connection) == older
    connection.close()


def shape(connection):
    versions = connection.execute("SELECT max(version) FROM gristmill_schema").fetchall()
    return versions, connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


async def test_tables_of_users_live_beside_ours(path):
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE job (id); INSERT INTO job VALUES (1); PRAGMA user_version = 7")
    store = SqliteStore(f"sqlite:///{path}")
    await store.open()
    await store.close()
    assert connection.execute("SELECT * FROM job").fetchall() == [(1,)]
    assert connection.pragma("user_version") == 7
    connection.close()
