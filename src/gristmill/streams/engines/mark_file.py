"""Where a worker notes which rows are with the handler, so that it can be read after its death.

A file of 40 bytes in the temporary folder of the worker's machine, mapped
into memory: a note is a copy of a few bytes, and what was copied is still
there when the worker is gone, whatever killed it.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from gristmill.streams.engines.protocol import Mark

_STATE = struct.Struct("<q")
_NOTE = struct.Struct("<qqqd")  # serial, first, stop, when
_SIZE = _STATE.size + _NOTE.size
_WRITING, _IDLE, _RUNNING = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a worker had noted.

    Attributes:
        serial: Number of the task it had begun last; 0 before the first.
        mark: The rows that are with the handler; None if none are.
        seconds: How long they have been there.
    """

    serial: int
    mark: Mark | None
    seconds: float


class MarkFile:
    """The file, as its worker writes it; a ``Marker``.

    Args:
        name: Of the file, new and unique.

    Attributes:
        path: Where it is.
    """

    def __init__(self, name: str) -> None:
        self.path = path_of(name)
        number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(number, _SIZE)
            self._map = mmap.mmap(number, _SIZE)
        finally:
            os.close(number)
        self._serial = 0

    def begin(self, serial: int) -> None:
        """Note that the task *serial* begins."""
        self._serial = serial
        self._write(_IDLE, 0, 0)

    def running(self, first: int, stop: int) -> None:
        """Note that the rows [first, stop) of the chunk go to the handler now."""
        self._write(_RUNNING, first, stop)

    def idle(self) -> None:
        """Note that no handler runs."""
        self._write(_IDLE, 0, 0)

    def close(self) -> None:
        """Remove the file."""
        self._map.close()
        remove(self.path)

    def _write(self, state: int, first: int, stop: int) -> None:
        # The state goes last: a worker that is killed, or read, in between has noted nothing.
        _STATE.pack_into(self._map, 0, _WRITING)
        _NOTE.pack_into(self._map, _STATE.size, self._serial, first, stop, time.monotonic())
        _STATE.pack_into(self._map, 0, state)


def new_name() -> str:
    """Return a name that no other mark file has."""
    return f"gristmill-mark-{uuid.uuid4().hex}"


def path_of(name: str) -> str:
    """Return where the file *name* is on this machine."""
    return str(Path(tempfile.gettempdir(), name))


def read(path: str) -> Note | None:
    """Return what is noted in *path*, on the machine of its worker; None if it is not there."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return None
    if len(content) != _SIZE:
        return None
    (state,) = _STATE.unpack_from(content)
    serial, first, stop, when = _NOTE.unpack_from(content, _STATE.size)
    if state != _RUNNING:
        return Note(serial=serial, mark=None, seconds=0.0)
    return Note(serial=serial, mark=Mark(first=first, stop=stop), seconds=time.monotonic() - when)


def take(path: str) -> Note | None:
    """Return what is noted in *path* and remove it: its worker is dead."""
    note = read(path)
    remove(path)
    return note


def remove(path: str) -> None:
    """Remove *path* if it is there."""
    Path(path).unlink(missing_ok=True)
