"""Opening a SQLite file, and what it says when something is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

try:
    import apsw
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("SQLite needs apsw: pip install 'gristmill[sqlite]'", name="apsw") from missing

from gristmill.streams.sql.database import Away

_TEXTS: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full",
    apsw.ReadOnlyError: "it cannot be written: check the permissions of it and of its folder",
    apsw.CantOpenError: "it cannot be opened: it must exist, and its folder too",
    apsw.PermissionsError: "access was denied",
    apsw.NotADBError: "it is no SQLite database",
    apsw.CorruptError: "it is corrupt: restore it from a backup",
    apsw.IOError: "the disk failed while reading or writing",
}
_BUSY = (
    "another connection holds its lock; if that is a query of the same run, put the file in WAL mode first "
    "(PRAGMA journal_mode = WAL)"
)


def open_file(path: str, *, is_written: bool, is_made: bool = False) -> apsw.Connection:
    """Open *path*, which must exist unless it *is_made*."""
    flags = apsw.SQLITE_OPEN_READWRITE if is_written else apsw.SQLITE_OPEN_READONLY
    if is_made:
        flags |= apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(path, flags=flags)
    connection.set_busy_timeout(5000)
    return connection


def text_of(error: apsw.Error) -> str:
    """Return what *error* says, for people."""
    return _TEXTS.get(type(error), str(error))


@contextmanager
def translated() -> Iterator[None]:
    """Raise what says that somebody else is at the file as ``Away``."""
    try:
        yield
    except (apsw.BusyError, apsw.LockedError) as error:
        raise Away(_BUSY) from error
