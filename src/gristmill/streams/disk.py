"""What files need beyond writing: to be on the disk, to be locked, to be cut."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from gristmill.errors import ConfigurationError, SinkError

if sys.platform != "win32":
    import fcntl


def sync_data(file: IO[Any]) -> None:
    """Return once what was written to *file* is on the disk."""
    file.flush()
    if hasattr(os, "fdatasync"):
        os.fdatasync(file.fileno())
    else:
        os.fsync(file.fileno())


def begin_to_store(file: IO[Any], start: int, end: int) -> None:
    """Have the system begin to put bytes [start, end) of *file* on the disk, and do not wait for it.

    Then a later ``sync_data`` finds most of its work done. That bytes are not needed in memory is what Linux
    is told to that end, as PostgreSQL's ``pg_flush_data`` does; what is being stored stays there.
    """
    if hasattr(os, "posix_fadvise"):
        with contextlib.suppress(OSError):  # ``sync_data`` will say so
            os.posix_fadvise(file.fileno(), start, end - start, os.POSIX_FADV_DONTNEED)


def sync_folder(folder: Path) -> None:
    """Return once the names in *folder* are on the disk; where folders cannot be opened they need not."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except (PermissionError, IsADirectoryError):
        return
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(opened)
    finally:
        os.close(opened)


def lock(file: IO[Any], message: str) -> None:
    """Lock *file* for this process, until it is closed or the process ends.

    Raises:
        ConfigurationError: With *message*: another process has it.
    """
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(message) from error


@contextlib.contextmanager
def writing(name: str) -> Iterator[None]:
    """Say which output it was that the system did not let us write.

    Args:
        name: Of the output, for people.

    Raises:
        SinkError: Instead of any other ``OSError`` of the block.
    """
    try:
        yield
    except SinkError:
        raise
    except OSError as error:
        place = name if error.filename is None else os.fsdecode(error.filename)
        raise SinkError(f"{place} cannot be written: {error.strerror or error}") from error


def close_anyway(file: IO[Any]) -> None:
    """Close *file*, though what was never committed of it may not fit on the disk."""
    with contextlib.suppress(OSError):
        file.close()


def cut(file: IO[bytes], length: int) -> None:
    """Cut *file* to *length* bytes if it is longer, and stand at its end."""
    if file.seek(0, os.SEEK_END) > length:
        file.truncate(length)
    file.seek(length)
