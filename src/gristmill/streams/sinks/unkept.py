"""Outputs that keep nothing: standard output, named pipes, devices."""

from __future__ import annotations

import os
import sys
from abc import abstractmethod
from pathlib import Path
from typing import BinaryIO

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.disk import close_anyway
from gristmill.streams.sinks.appending import Appending, AppendingSink, Bytes

STANDARD_OUTPUT = ("-", "/dev/stdout")
"""How standard output is named."""

_STANDARD = "standard output"
_STDOUT, _STDERR = 1, 2


class UnkeptOutput(AppendingSink):
    """What is written is gone, so nothing of it can be resumed.

    Args:
        name: For people.
        form: Encodes, and says what stands before and after the chunks.
    """

    def __init__(self, name: str, form: Appending) -> None:
        super().__init__(form)
        self.name = name
        self._file: BinaryIO | None = None

    def open(self, identity: Identity, *, overwrite: bool) -> Checkpoint | None:  # noqa: ARG002 - nothing is kept
        """Begin; nothing can be resumed."""
        if not self._form.is_streamed:
            raise ConfigurationError(f"this format cannot go to {self.name}; name a file with -o")
        self._file = self._taken()
        return None

    @abstractmethod
    def _taken(self) -> BinaryIO:
        """Open it."""

    def _append(self, data: Bytes) -> None:
        self._opened().write(data)
        self.length += len(data)

    def commit(self, checkpoint: Checkpoint) -> None:  # noqa: ARG002 - as above
        """Pass on what was written."""
        self._opened().flush()

    def finish(self, checkpoint: Checkpoint, layout: bytes | None) -> None:  # noqa: ARG002 - as above
        """Write what comes after the chunks."""
        self._head(layout)
        for part in self._form.tail(self._opened(), self.length):
            self._append(part)
        self._opened().flush()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError(f"{self.name} is not open")
        return self._file

    def close(self) -> None:
        """Let go of it."""
        file, self._file = self._file, None
        if file is not None:
            self._give_back(file)

    def _give_back(self, file: BinaryIO) -> None:
        close_anyway(file)


class StandardOutput(UnkeptOutput):
    """Standard output.

    While it is open, whatever else is printed goes to standard error: by
    handlers here, by workers that are started now, by libraries.

    Args:
        form: Encodes, and says what stands before and after the chunks.
    """

    def __init__(self, form: Appending) -> None:
        super().__init__(_STANDARD, form)

    def _taken(self) -> BinaryIO:
        if sys.stdout is None:  # as Python has it where file descriptor 1 is closed
            raise ConfigurationError("standard output is closed; name a file with -o")
        sys.stdout.flush()
        file = os.fdopen(os.dup(_STDOUT), "wb")
        os.dup2(_STDERR, _STDOUT)
        return file

    def _give_back(self, file: BinaryIO) -> None:
        sys.stdout.flush()
        os.dup2(file.fileno(), _STDOUT)
        close_anyway(file)


class DeviceOutput(UnkeptOutput):
    """A named pipe, a device such as ``/dev/null``, or a file that is open already, as ``/dev/fd/3`` is.

    It is written to as it is, never replaced.

    Args:
        path: Of it.
        form: Encodes, and says what stands before and after the chunks.
    """

    def __init__(self, path: Path, form: Appending) -> None:
        super().__init__(str(path), form)
        self._path = path

    def _taken(self) -> BinaryIO:
        return self._path.open("ab", buffering=1 << 20)


def is_device(path: Path) -> bool:
    """Tell whether *path* is something to write to that is neither a file of its own nor a folder."""
    if path.is_dir():
        return False
    is_handed_over = path.is_absolute() and path.parent.name == "fd" and path.exists()
    return is_handed_over or (path.exists() and not path.is_file())


def unkept(output: str) -> str | None:
    """Return how people call *output*, a path, a URL or ``-``, if what is written to it is gone."""
    if output in STANDARD_OUTPUT:
        return _STANDARD
    return output if is_device(Path(output)) else None
