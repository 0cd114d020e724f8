"""A text file as a sink: appended to, cut back to the last commit, and renamed when it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.checkpoint import Checkpoint, Identity, resumable
from gristmill.streams.disk import begin_to_store, close_anyway, cut, sync_data, sync_folder
from gristmill.streams.journal import Journal
from gristmill.streams.sinks.appending import Appending, AppendingSink, Bytes

_STEP = 1 << 20
"""Bytes of one write: of more than 2 MiB, Linux takes several times as long, looking for large pages."""
_STORED_TOGETHER = 4 << 20
"""Bytes that are on their way to the disk together, long before a commit waits for them."""


class FileSink(AppendingSink):
    """Appends encoded chunks to ``PATH.partial``, journaled in ``PATH.journal``; at the end it is ``PATH``.

    A commit is: the data on the disk, then a line of the journal on the disk.
    So the journal never tells of data that is not there, and after a kill the
    file is cut back to what the journal tells: the method of Spring Batch's
    and Bytewax's file writers, with the syncs that make it hold when the
    power fails.

    Args:
        path: Where the output will be.
        form: Encodes, and says what stands before and after the chunks.
    """

    def __init__(self, path: Path, form: Appending) -> None:
        super().__init__(form)
        self.path = path
        self.partial = path.with_name(path.name + ".partial")
        self.journal = Journal(path.with_name(path.name + ".journal"))
        self._file: BinaryIO | None = None
        self._stored = 0

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def open(self, identity: Identity, *, overwrite: bool) -> Checkpoint | None:
        """Begin or resume; see ``Sink.open``."""
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"there is no folder {self.path.parent} to write {self.path.name} to")
        if self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a folder; name a file in it")
        if self.path.exists() and not self.path.is_file():
            raise ConfigurationError(
                f"{self.path} is no regular file, and would be replaced by one; name another"
            )
        found = self.journal.read(overwrite=overwrite)
        checkpoint = found and resumable(*found, identity, str(self.journal.path))
        if checkpoint is None:
            self._begin(identity, overwrite=overwrite)
            return None
        if checkpoint.is_done:
            if self.partial.exists():  # the end was interrupted between its two steps
                self._put_in_place()
            if self.path.exists():
                return checkpoint
            self._begin(identity, overwrite=False)  # somebody took the output away: they want it anew
            return None
        self._reopen(checkpoint)
        return checkpoint

    def _begin(self, identity: Identity, *, overwrite: bool) -> None:
        if self.path.exists() and not overwrite:
            self.journal.remove()
            raise ConfigurationError(f"{self.path} is there already; use --overwrite to replace it")
        self.journal.begin(identity)
        self._file = self.partial.open("w+b")
        sync_folder(self.path.parent)
        self.length = self._stored = 0
        self._is_begun = False

    def _reopen(self, checkpoint: Checkpoint) -> None:
        if checkpoint.out and not self.partial.exists():
            raise SinkError(f"{self.partial} is gone; put it back, or use --overwrite to begin anew")
        self.partial.touch()
        self._file = self.partial.open("r+b")
        if self._file.seek(0, 2) < checkpoint.out:
            raise SinkError(
                f"{self.partial} is shorter than what was committed; put it back, or use --overwrite"
            )
        cut(self._file, checkpoint.out)
        self.length = self._stored = checkpoint.out
        self._is_begun = checkpoint.out > 0

    def _append(self, data: Bytes) -> None:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _STEP):
            self._opened().write(view[start : start + _STEP])
        self.length += len(view)
        if self.length - self._stored >= _STORED_TOGETHER:
            begin_to_store(self._opened(), self._stored, self.length)
            self._stored = self.length

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError(f"{self.path} is not open")
        return self._file

    def commit(self, checkpoint: Checkpoint) -> None:
        """Record *checkpoint* after what was written; both on the disk."""
        sync_data(self._opened())
        self.journal.commit(checkpoint)

    def finish(self, checkpoint: Checkpoint, layout: bytes | None) -> None:
        """Write what comes after the chunks, and put the file in its place."""
        self._head(layout)
        file = self._opened()
        file.flush()
        for part in self._form.tail(file, self.length):
            file.write(part)
        sync_data(file)
        self.close_file()
        self.journal.commit(
            checkpoint
        )  # first: a partial file that a journal calls done only waits for its name
        self._put_in_place()

    def _put_in_place(self) -> None:
        self.partial.replace(self.path)
        sync_folder(self.path.parent)

    def close_file(self) -> None:
        """Close the data file."""
        file, self._file = self._file, None
        if file is not None:
            close_anyway(file)

    def close(self) -> None:
        """Let go of the files, and of the lock."""
        self.close_file()
        self.journal.close()
