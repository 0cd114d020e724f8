"""Rows that failed, with the reason and their exact place: a file that replays as a source."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.disk import close_anyway, cut, lock, sync_data

MAX_RAW = 64 * 1024
"""Bytes of a row's text that are kept; of longer ones only the place is."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the dead-letter file.

    Attributes:
        source: The input.
        row: Number of its record in the input, from 1, without the header; in unordered runs, where nobody
            knows that, counted from the beginning of a chunk: go by ``start`` then.
        start: Where its bytes begin in the input (of the uncompressed text); for tables, its row.
        end: Where they end.
        stage: ``parse``, ``validate``, ``handler``, ``sink`` or ``crash``.
        code: The stable slug of the reason.
        message: The reason for people.
        attempts: How often the handler saw it.
        item: The row as the handler was to get it; it is what a replay reads.
        raw: Its text in the input, where it is no row.
        base64: The same, where it is no UTF-8.
    """

    source: str
    row: int
    start: int
    end: int
    stage: str
    code: str
    message: str
    attempts: int = 0
    item: Any = msgspec.UNSET
    raw: str | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET


def raw_fields(raw: bytes | None) -> dict[str, str]:
    """Return the fields of a dead letter that keep *raw*."""
    if raw is None or len(raw) > MAX_RAW:
        return {}
    try:
        return {"raw": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


class StoredLetter(DeadLetter, frozen=True, kw_only=True, omit_defaults=True):
    """A dead letter whose item stays as it is written, numbers of any length included."""

    item: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)

    def plain(self, row: int | None = None) -> DeadLetter:
        """Return it as it is written, with another number of its *row* if one is given."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        if not len(self.item):
            del fields["item"]
        return DeadLetter(**{**fields, "row": self.row if row is None else row})


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(StoredLetter)


def renumbered(lines: bytes, before: int) -> bytes:
    """Return dead letters of one chunk, with *before* records of the input in front of it."""
    if not before or not lines:
        return lines
    return _ENCODER.encode_lines([each.plain(each.row + before) for each in _letters(lines)])


def merged(lines: bytes, others: bytes) -> bytes:
    """Return dead letters of one chunk, those of *lines* and of *others*, in the order of their rows."""
    if not lines or not others:
        return lines or others
    letters = [each.plain() for each in _letters(lines) + _letters(others)]
    return _ENCODER.encode_lines(sorted(letters, key=lambda each: each.row))


def _letters(lines: bytes) -> list[StoredLetter]:
    return [_DECODER.decode(line) for line in lines.removesuffix(b"\n").split(b"\n")]


class DeadLetterFile:
    """The dead-letter file of a run, written and cut together with its sink.

    Args:
        path: Made when the first letter is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        self._file: BinaryIO | None = None
        self._is_dirty = False

    def check_new(self) -> None:
        """Refuse to begin a run over what another one has left.

        Raises:
            ConfigurationError: There are letters in the file, or whatever else it holds.
        """
        if self.path.exists() and (not self.path.is_file() or self.path.stat().st_size):
            raise ConfigurationError(
                f"{self.path} is there already, and not of this run: move it away, name another file with "
                "--dead-letter, or use --overwrite to replace it"
            )

    def claim(self) -> None:
        """Lock the file, if it is there.

        Raises:
            ConfigurationError: Another run has it, it could not be made where it should be, or what is there
                is a folder, a device or a pipe.
        """
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"there is no folder {self.path.parent} to write {self.path.name} to")
        if self.path.exists():
            if not self.path.is_file():
                raise ConfigurationError(
                    f"{self.path} is no regular file, and rows that fail are kept in one: name another with "
                    "--dead-letter"
                )
            self._opened()

    def open(self, length: int) -> None:
        """Cut the file to *length*: what follows was never committed.

        Raises:
            SinkError: It is shorter: letters that were committed are gone.
        """
        self.length = length
        if not self.path.exists():
            if length:
                raise SinkError(
                    f"{self.path} is gone, and held rows that failed; put it back, or use --overwrite"
                )
            return
        file = self._opened()
        if file.seek(0, 2) < length:
            raise SinkError(
                f"{self.path} is shorter than it was; put it back, or use --overwrite to begin anew"
            )
        cut(file, length)

    def write(self, lines: bytes) -> None:
        """Append *lines*."""
        if lines:
            self._opened().write(lines)
            self.length += len(lines)
            self._is_dirty = True

    def sync(self) -> None:
        """Return once all is on the disk."""
        if self._is_dirty and self._file is not None:
            sync_data(self._file)
            self._is_dirty = False

    def _opened(self) -> BinaryIO:
        if self._file is None:
            if not self.path.exists():
                self.path.touch()
            self._file = self.path.open("r+b")
            lock(self._file, f"{self.path} is in use by another run")
            self._file.seek(0, 2)
        return self._file

    def close(self) -> None:
        """Let go of the file; an empty one is removed."""
        file, self._file = self._file, None
        if file is not None:
            close_anyway(file)
            if self.path.exists() and not self.path.stat().st_size:
                self.path.unlink(missing_ok=True)
