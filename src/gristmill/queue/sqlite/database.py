"""Opens the database file, after a look at whether it will keep what it is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from gristmill.errors import ConfigurationError, StoreMisconfigured, StoreReadOnly
from gristmill.queue.sqlite.filesystem import is_read_only, network_filesystem
from gristmill.queue.sqlite.schema import migrate

BUSY_TIMEOUT = 5.0
"""Seconds to wait for a lock that another connection holds."""

PAGE = 4096
_PREFIX = "sqlite:///"
_LEAST_VERSION = (3, 51, 3)  # before it, a race of two checkpoints could lose committed transactions


def path_of(url: str) -> Path:
    """Return the file that *url* names.

    Raises:
        ConfigurationError: It names none.
    """
    name = url.removeprefix(_PREFIX)
    if not url.startswith(_PREFIX) or not name.strip() or name.startswith(":memory:"):
        raise ConfigurationError(
            f"a SQLite store is sqlite:///relative.db or sqlite:////absolute.db, not {url!r}; "
            "for a store in memory, in tests, there is memory://"
        )
    return Path(name).absolute()


def open_for_writing(path: Path) -> apsw.Connection:
    """Open *path*, or make it, in WAL mode, with a commit that is on the disk when it returns.

    Raises:
        ConfigurationError: Its folder does not exist.
        StoreMisconfigured: The library or the filesystem would lose jobs.
        StoreReadOnly: The filesystem takes no writes.
        StoreVersion: A newer Gristmill wrote the schema.
        apsw.Error: It cannot be opened.
    """
    check_version(apsw.sqlite_lib_version())
    _check_folder(path.parent)
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_handler(patience(BUSY_TIMEOUT))
        connection.pragma("auto_vacuum", "INCREMENTAL")  # of a new file; pruning makes it smaller
        _enter_wal(connection, path)
        connection.pragma("synchronous", "FULL")
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("journal_size_limit", 64 << 20)
        connection.pragma("cache_size", -32768)
        connection.pragma("temp_store", "MEMORY")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Open *path*, which must exist, without the right to write."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_handler(patience(BUSY_TIMEOUT))
    return connection


def patience(seconds: float) -> Callable[[int], bool]:
    """Return a busy handler that tries again for *seconds*.

    SQLite's own sleeps for up to 100 ms at a time, and so comes last wherever others commit all the time.
    """
    until = 0.0

    def wait(tries: int) -> bool:
        nonlocal until
        now = time.monotonic()
        if tries == 0:
            until = now + seconds
        time.sleep(random.uniform(0.0002, 0.001))  # noqa: S311 - so that two do not wait in step
        return now < until

    return wait


def check_version(version: str) -> None:
    """Refuse, by ``StoreMisconfigured``, a *version* of SQLite that may lose what was committed."""
    if tuple(map(int, version.split("."))) < _LEAST_VERSION:
        wanted = ".".join(map(str, _LEAST_VERSION))
        raise StoreMisconfigured(
            f"SQLite {version} can lose what was committed (the WAL-reset bug): use apsw {wanted} or newer"
        )


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ConfigurationError(f"the folder of the store does not exist; create it first: {folder}")
    kind = network_filesystem(folder)
    if kind is not None:
        raise StoreMisconfigured(
            f"{folder} is on a network filesystem ({kind}), where SQLite can lose jobs: use a local disk, "
            "or a PostgreSQL or Redis store for many machines"
        )
    if is_read_only(folder):
        raise StoreReadOnly(f"the filesystem of {folder} is read-only: mount it for writing, or use another")


def _enter_wal(connection: apsw.Connection, path: Path) -> None:
    """Change to WAL mode.

    While another connection does the same, SQLite refuses at once, without the busy handler.
    """
    give_up_at = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            mode = connection.pragma("journal_mode", "WAL")
        except apsw.BusyError:
            if time.monotonic() >= give_up_at:
                raise
            connection.execute("BEGIN IMMEDIATE; COMMIT")  # waits for the other one's lock
        else:
            break
    if mode != "wal":
        raise StoreMisconfigured(
            f"{path} cannot be in WAL mode, which the store needs: put it on a local disk, not a network one"
        )
