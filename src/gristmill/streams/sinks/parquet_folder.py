"""A folder of Parquet files as a sink: parts of a size that readers like, and a manifest at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.checkpoint import Checkpoint, Identity, resumable
from gristmill.streams.chunk import Result
from gristmill.streams.disk import close_anyway, cut, sync_data, sync_folder
from gristmill.streams.formats.parquet_output import ParquetOutput, rows_in
from gristmill.streams.journal import Journal
from gristmill.streams.sinks.protocol import EncoderRecipe

_PART = re.compile(r"part-\d{5,}\.parquet")
_PARTIAL = re.compile(r"_part-\d{5,}\.parquet\.partial")
_SHIFT = 40
"""Bits of a length that count bytes within a part; those above count parts."""


class ParquetFolder:
    """Appends encoded chunks to a part at a time, and begins the next one once that is large.

    The part under way is ``_part-00000.parquet.partial``, which readers of
    data sets pass over, as all that begins with ``_``. A part gets its name
    after a commit that holds all of it; after a kill in between it is opened
    again. So what has a name is never torn, and what the journal does not know
    is deleted when the run is resumed.

    Args:
        path: The folder; made if it is not there.
        form: Encodes.
        part_bytes: Bytes of a part, about: it ends with the commit after them.
    """

    def __init__(self, path: Path, form: ParquetOutput, *, part_bytes: int) -> None:
        self.path = path
        self.commit_seconds = 1.0
        self.journal = Journal(path / "_gristmill.journal")
        self._form = form
        self._part_bytes = part_bytes
        self._part = 0
        self._length = 0
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        """The path, with a slash."""
        return f"{self.path}/"

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output."""
        return {**self._form.options, "output parts": self._part_bytes}

    @property
    def length(self) -> int:
        """The number of the part under way, and its bytes, in one number."""
        return (self._part << _SHIFT) + self._length

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""
        return self._form.recipe()

    def open(self, identity: Identity, *, overwrite: bool) -> Checkpoint | None:
        """Begin or resume; see ``Sink.open``."""
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError(f"{self.path} is a file; name a folder, or leave the slash out")
        if not self.path.parent.is_dir():
            raise ConfigurationError(f"there is no folder {self.path.parent} to make {self.path.name} in")
        self.path.mkdir(exist_ok=True)
        sync_folder(self.path.parent)
        found = self.journal.read(overwrite=overwrite)
        try:
            return self._begun(found, identity, overwrite=overwrite)
        except BaseException:
            self.close()
            raise

    def _begun(
        self, found: tuple[Identity, Checkpoint | None] | None, identity: Identity, *, overwrite: bool
    ) -> Checkpoint | None:
        checkpoint = found and resumable(*found, identity, str(self.journal.path))
        if checkpoint is None:
            self._begin(identity, overwrite=overwrite)
            return None
        if not checkpoint.is_done:
            self._resume(checkpoint.out)
        return checkpoint

    def _begin(self, identity: Identity, *, overwrite: bool) -> None:
        named = [each for each in self.path.iterdir() if _PART.fullmatch(each.name)]
        if named and not overwrite:
            self.journal.remove()
            raise ConfigurationError(
                f"{self.path} has {named[0].name} already; use --overwrite to replace its parts"
            )
        self.journal.begin(identity)
        self._resume(0)

    def _resume(self, length: int) -> None:
        """Open the part under way at what was committed of it; delete what was not."""
        self._part, self._length = length >> _SHIFT, length & ((1 << _SHIFT) - 1)
        partial, named = self._partial(), self._named()
        if self._length and not partial.exists():
            if not named.exists():
                raise SinkError(f"{partial} is gone; put it back, or use --overwrite to begin anew")
            named.replace(partial)  # it was named after its last commit, and nothing was committed since
        kept = {self._named(number) for number in range(self._part)} | {partial}
        for each in self.path.iterdir():
            is_ours = _PART.fullmatch(each.name) or _PARTIAL.fullmatch(each.name)
            if (is_ours and each not in kept) or each.name == "_manifest.json":
                each.unlink()
        missing = sorted(each.name for each in kept - {partial} if not each.exists())
        if missing:
            raise SinkError(
                f"{self.path / missing[0]} is gone; put it back, or use --overwrite to begin anew"
            )
        self._open()
        if self._opened().seek(0, os.SEEK_END) < self._length:
            raise SinkError(f"{partial} is shorter than what was committed; use --overwrite to begin anew")
        cut(self._opened(), self._length)
        sync_folder(self.path)

    def _open(self) -> None:
        partial = self._partial()
        partial.touch()
        self._file = partial.open("r+b")

    def _partial(self) -> Path:
        return self.path / f"_part-{self._part:05d}.parquet.partial"

    def _named(self, number: int | None = None) -> Path:
        return self.path / f"part-{self._part if number is None else number:05d}.parquet"

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise RuntimeError(f"{self.path} is not open")
        return self._file

    def write(self, result: Result) -> None:
        """Append the result's body."""
        if len(result.body):
            for part in self._form.frame(result.body):
                self._opened().write(part)
                self._length += len(part)

    def commit(self, checkpoint: Checkpoint) -> None:
        """Record *checkpoint* after what was written, and end the part if it is large enough."""
        sync_data(self._opened())
        self.journal.commit(checkpoint)
        if self._length >= self._part_bytes:
            self._end_part()
            self._part, self._length = self._part + 1, 0
            self._open()

    def _end_part(self) -> None:
        file = self._opened()
        file.flush()
        for part in self._form.tail(file, self._length):
            file.write(part)
        sync_data(file)
        self.close_file()
        self._partial().replace(self._named())
        sync_folder(self.path)

    def finish(self, checkpoint: Checkpoint, layout: bytes | None) -> None:
        """End the last part, and write the manifest."""
        if not self._length and self._part:
            self.close_file()
            self._partial().unlink()
        else:
            if not self._length:  # no row at all: a part that has the columns
                head = self._form.head(layout)
                self._opened().write(head)
                self._length = len(head)
            sync_data(self._opened())
            self.journal.commit(msgspec.structs.replace(checkpoint, out=self.length, is_done=False))
            self._end_part()
        self._write_manifest()
        self.journal.commit(checkpoint)

    def _write_manifest(self) -> None:
        parts = sorted(each for each in self.path.iterdir() if _PART.fullmatch(each.name))
        listed = [{"name": each.name, "bytes": each.stat().st_size, "rows": rows_in(each)} for each in parts]
        temporary = self.path / "_manifest.json.partial"
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode({"parts": listed})) + b"\n")
            sync_data(file)
        temporary.replace(self.path / "_manifest.json")
        sync_folder(self.path)

    def close_file(self) -> None:
        """Close the part under way."""
        file, self._file = self._file, None
        if file is not None:
            close_anyway(file)

    def close(self) -> None:
        """Let go of the files, and of the lock."""
        self.close_file()
        self.journal.close()
