"""Files that workers read for themselves: what they were when the run began, and whether they still are."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.checkpoint import SourceMark

_SAMPLE = 64 * 1024
"""Bytes at both ends of a file that tell it from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A file that workers read for themselves, as it was when the run began.

    Attributes:
        path: Absolute.
        size: Bytes.
        changed_ns: Time of its last change.
    """

    path: str
    size: int
    changed_ns: int

    def check(self, descriptor: int) -> None:
        """Check that the open file is the one that was looked at.

        Raises:
            SourceChanged: It is another file, or was written to.
        """
        found = os.fstat(descriptor)
        if (found.st_size, found.st_mtime_ns) != (self.size, self.changed_ns):
            raise SourceChanged(
                f"{self.path} was changed while it was read; make it whole and run again with --overwrite"
            )

    def read(self, start: int, end: int) -> bytes:
        """Return its bytes [start, end).

        Raises:
            SourceChanged: It is another file, or was written to.
            SourceError: It cannot be read.
        """
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - the hot path
                self.check(file.fileno())
                data = os.pread(file.fileno(), end - start, start)
                while len(data) < end - start:  # a read is cut at 2 GiB, or by a signal
                    more = os.pread(file.fileno(), end - start - len(data), start + len(data))
                    if not more:
                        raise SourceChanged(f"{self.path} ended at {start + len(data):,}, before {end:,}")
                    data += more
                return data
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read: {error.strerror}") from error


def look_at(path: str, *, suffix: str, is_piped: bool) -> tuple[SourceMark, Readable, bytes]:
    """Return what tells the state of a file, where it is, and its first bytes.

    Args:
        path: Of it.
        suffix: Of files like it, for advice.
        is_piped: Whether such are read from standard input too.

    Raises:
        SourceError: It cannot be read, or is no file.
    """
    try:
        kind = Path(path).stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # before it is opened: a pipe would wait
            advice = "pipe it into standard input, and give -" if is_piped else "give the name of a file"
            raise SourceError(f"{path} is no regular file; {advice}")
        with open(path, "rb") as file:  # noqa: PTH123 - as everywhere here
            found = os.fstat(file.fileno())
            head = file.read(_SAMPLE)
            file.seek(max(0, found.st_size - _SAMPLE))
            digest = hashlib.blake2b(head + file.read(_SAMPLE), digest_size=16).hexdigest()
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a folder; give files, or a pattern as '{path}/*{suffix}'") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    mark = SourceMark(name=path, size=found.st_size, changed_ns=found.st_mtime_ns, digest=digest)
    readable = Readable(path=str(Path(path).resolve()), size=found.st_size, changed_ns=found.st_mtime_ns)
    return mark, readable, head
