from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from gristmill.errors import (
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
)
from gristmill.queue.sqlite.errors import mapped, store_error
from gristmill.queue.sqlite.store import SqliteStore

PATH = Path("/data/queue.db")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (apsw.BusyError("x"), StoreUnavailable, "another connection held the lock on /data/queue.db"),
        (apsw.FullError("x"), StoreFull, "the disk of /data/queue.db is full"),
        (apsw.ReadOnlyError("x"), StoreReadOnly, "check the permissions"),
        (apsw.CantOpenError("x"), StoreUnavailable, "cannot be opened"),
        (apsw.NotADBError("x"), StoreMisconfigured, "is no SQLite database"),
        (apsw.CorruptError("x"), StoreError, "restore it from a backup"),
        (apsw.IOError("x"), StoreUnavailable, "the disk of /data/queue.db failed"),
        (apsw.TooBigError("too big"), StoreError, "/data/queue.db: too big"),
    ],
)
def test_each_error_says_what_to_do(error, kind, text):
    found = store_error(error, PATH)
    assert type(found) is kind
    assert text in str(found)


def test_the_cause_is_chained():
    with pytest.raises(StoreFull) as caught, mapped(PATH):
        raise apsw.FullError("full")
    assert isinstance(caught.value.__cause__, apsw.FullError)


def fill(path):
    """Make SQLite itself find no room: the file may not grow."""
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (b)")
    connection.pragma("max_page_count", connection.pragma("page_count"))
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    finally:
        connection.close()


def write_to_a_read_only(path):
    apsw.Connection(str(path)).close()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("CREATE TABLE t (b)")
    finally:
        connection.close()


@pytest.mark.parametrize(("provoke", "kind"), [(fill, StoreFull), (write_to_a_read_only, StoreReadOnly)])
def test_what_sqlite_raises_is_what_is_mapped(path, provoke, kind):
    path.touch()
    with pytest.raises(kind), mapped(path):
        provoke(path)


async def test_a_file_that_is_none_of_sqlites_is_refused_until_it_is_gone(path, new):
    path.write_bytes(b"no database " * 1000)
    store = SqliteStore(f"sqlite:///{path}")
    for _ in range(2):
        with pytest.raises(StoreMisconfigured, match="is no SQLite database"):
            await store.open()
    path.unlink()
    await store.open()
    await store.enqueue([new(1)])
    await store.close()


async def test_a_folder_in_place_of_the_file_is_told(path):
    path.mkdir()
    store = SqliteStore(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="cannot be opened: check that it is a file"):
        await store.open()
    await store.close()
