"""What SQLite refuses, as errors of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from gristmill.errors import (
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
)

STALE_CONNECTION = (
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ConnectionClosedError,
)
"""After these a new connection may do what the old one could not: the file was moved, or made writable, or a
handler has closed the one that it was lent."""

_TEXTS: dict[type[apsw.Error], tuple[type[StoreError], str]] = {
    apsw.BusyError: (StoreUnavailable, "another connection held the lock on {path} for too long"),
    apsw.LockedError: (StoreUnavailable, "another connection held the lock on {path} for too long"),
    apsw.FullError: (StoreFull, "the disk of {path} is full"),
    apsw.ReadOnlyError: (
        StoreReadOnly,
        "{path} cannot be written: check the permissions of it and of its folder, and that it was not moved",
    ),
    apsw.CantOpenError: (
        StoreUnavailable,
        "{path} cannot be opened: check that it is a file, and the permissions of it and of its folder",
    ),
    apsw.PermissionsError: (StoreUnavailable, "access to {path} was denied"),
    apsw.NotADBError: (StoreMisconfigured, "{path} is no SQLite database: name another file"),
    apsw.CorruptError: (StoreError, "{path} is corrupt: restore it from a backup"),
    apsw.IOError: (StoreUnavailable, "the disk of {path} failed while reading or writing"),
    apsw.NoMemError: (StoreUnavailable, "out of memory"),
}


def store_error(error: apsw.Error, path: Path) -> StoreError:
    """Return what the store at *path* raises ``from`` *error*."""
    kind, text = _TEXTS.get(type(error), (StoreError, "{path}: {error}"))
    return kind(text.format(path=path, error=error))


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raise what SQLite refuses inside as errors of the store at *path*."""
    try:
        yield
    except apsw.Error as error:
        raise store_error(error, path) from error
