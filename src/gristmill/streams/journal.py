"""An append-only file of checkpoints, each a line with its checksum: the last whole line counts."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.disk import close_anyway, cut, lock, sync_data, sync_folder

_TORN = re.compile(rb"[0-9a-f]{0,8}|[0-9a-f]{8} (?:\{[^\n]*)?")
"""What a first line is before all of it is on the disk; a file that begins otherwise is another's."""


class Journal:
    """The checkpoints of one run, in a file.

    The first line is the run's ``Identity``, each later one a ``Checkpoint``.
    A line is the CRC-32 of its JSON in hex, a blank, the JSON and a line feed;
    what follows the last line that is whole was never committed, and is cut
    off. The file is locked while it is open, by the operating system, so that
    the lock dies with its process.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def read(self, *, overwrite: bool = False) -> tuple[Identity, Checkpoint | None] | None:
        """Open and lock the file, made if it is not there; return what it says, or None if it is empty.

        Args:
            overwrite: Nobody wants to know what it says, if only it is a journal: return None.

        Returns:
            Of which run it is, and the last checkpoint; None for that if nothing was committed.

        Raises:
            ConfigurationError: Another run has it open, or it is no journal.
        """
        is_new = not self.path.exists()
        self._file = self.path.open("a+b")
        lock(self._file, f"{self.path} is in use: the same run is under way in another process")
        if is_new:
            sync_folder(self.path.parent)
        identity: Identity | None = None
        last: Checkpoint | None = None
        length = 0
        self._file.seek(0)
        for line in self._file:
            text = _checked(line)
            if text is None:
                break
            if overwrite:
                return None
            try:
                if identity is None:
                    identity = msgspec.json.decode(text, type=Identity)
                else:
                    last = msgspec.json.decode(text, type=Checkpoint)
            except msgspec.DecodeError as error:
                raise ConfigurationError(
                    f"{self.path} was written by another version of Gristmill: {error}; use --overwrite"
                ) from error
            length += len(line)
        if identity is None and not _is_torn(self._file):
            raise ConfigurationError(
                f"{self.path} is no journal of Gristmill; move it away, or use another output"
            )
        cut(self._file, length)
        return None if identity is None else (identity, last)

    def begin(self, identity: Identity) -> None:
        """Throw away what the file says, and begin a run; call ``read`` first."""
        cut(self._opened(), 0)
        self._write(msgspec.json.encode(identity))

    def commit(self, checkpoint: Checkpoint) -> None:
        """Append *checkpoint*; it is on the disk when this returns."""
        self._write(msgspec.json.encode(checkpoint))

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError(f"the journal {self.path} is not open")
        return self._file

    def _write(self, text: bytes) -> None:
        file = self._opened()
        file.write(b"%08x %b\n" % (zlib.crc32(text), text))
        sync_data(file)

    def close(self) -> None:
        """Let go of the file and its lock. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            close_anyway(file)

    def remove(self) -> None:
        """Close and delete the file, if it is there."""
        self.close()
        self.path.unlink(missing_ok=True)


def _checked(line: bytes) -> bytes | None:
    """Return the JSON of a whole *line*; None if it is torn."""
    if not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    text = line[9:-1]
    try:
        return text if int(line[:8], 16) == zlib.crc32(text) else None
    except ValueError:
        return None


def _is_torn(file: BinaryIO) -> bool:
    """Tell whether all of *file* is the beginning of a first line."""
    file.seek(0)
    return _TORN.fullmatch(file.read()) is not None
