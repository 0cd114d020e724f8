"""Parquet files as sources: chunks of row groups, read by the workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.errors import ParquetInvalid, SourceChanged, SourceError
from gristmill.streams.formats.parquet_chunks import ChunkTable, Stored, StoredColumn
from gristmill.streams.formats.parquet_footer import TAIL, footer_size
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.table_files import Block
from gristmill.streams.sources.table_reader import TableRecipe


class ParquetForm:
    """Parquet; see ``TableForm``."""

    name = "parquet"

    def look(self, path: str) -> tuple[Sequence[Block], bytes]:
        """Return the row groups of a file and its schema."""
        try:
            with pq.ParquetFile(path) as file:
                metadata = file.metadata
                groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
                schema = file.schema_arrow.remove_metadata().serialize().to_pybytes()
                blocks = [Block(rows=group.num_rows, size=group.total_byte_size) for group in groups]
                return blocks, schema
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path} is no Parquet file that can be read: {error}") from error

    def recipe(
        self,
        files: Sequence[Readable],
        blocks: Sequence[Sequence[int]],
        schema: bytes,
        select: Mapping[str, str],
        *,
        whole: Sequence[AbstractSet[int]],
    ) -> ReaderRecipe:
        """Return what reads chunks in workers."""
        return TableRecipe(
            opener=open_parquet,
            files=files,
            blocks=blocks,
            schema=schema,
            select=select,
            whole=whole,
        )


def open_parquet(file: Readable) -> OpenParquet:
    """Return *file*, open."""
    return OpenParquet(file)


class OpenParquet:
    """A Parquet file that is open."""

    def __init__(self, file: Readable) -> None:
        check_unchanged(file)
        self._file = file
        self._parquet = pq.ParquetFile(file.path)
        self._stored: StoredFile | None = None

    def block(self, index: int, columns: Sequence[str]) -> Any:
        """Return *columns* of one row group."""
        check_unchanged(self._file)
        table = self._parquet.read_row_group(index, columns=list(columns), use_threads=False)
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)

    def stored(self, index: int) -> Stored:
        """Return the columns of one row group that can be copied as they lie in the file."""
        if self._stored is None:
            self._stored = StoredFile(self._file)
        return self._stored.columns(index)


class StoredFile:
    """A Parquet file whose column chunks are copied."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        try:
            self._bytes = pa.OSFile(file.path)
        except OSError as error:
            raise SourceError(f"{file.path} cannot be read: {error}") from error
        check_unchanged(file)
        size = footer_size(self._at(file.size - TAIL, TAIL))
        self._end = file.size - size
        self._metadata = self._at(self._end, size - TAIL)
        self._table: ChunkTable | None = None

    def columns(self, index: int) -> Stored:
        """Return the columns of one row group that can be copied."""
        try:
            self._table = self._table or ChunkTable(self._metadata, self._end)
            chunks = self._table.copyable(index)
        except ParquetInvalid:  # encrypted, or in several files: decoding says so where it matters
            return {}
        return {name: StoredColumn(chunk=chunk, read=self._read) for name, chunk in chunks.items()}

    def _at(self, start: int, size: int) -> bytes:
        data = bytearray(size)
        self._read(start, memoryview(data))
        return bytes(data)

    def _read(self, start: int, into: memoryview) -> None:
        """Fill *into*; raises ``SourceChanged`` if the file is another one by then."""
        at = 0
        try:
            self._bytes.seek(start)
            while at < len(into) and (count := self._bytes.readinto(into[at:])):
                at += count
        except OSError as error:
            raise SourceError(f"{self._file.path} cannot be read: {error}") from error
        check_unchanged(self._file)
        if at < len(into):
            raise SourceError(f"{self._file.path} ends at byte {start + at:,}; it was cut off")


def check_unchanged(file: Readable) -> None:
    """Raise ``SourceChanged`` if *file* is not what it was when the run began."""
    try:
        found = os.stat(file.path)  # noqa: PTH116 - for each block
    except OSError as error:
        raise SourceError(f"{file.path} cannot be read: {error.strerror}") from error
    if (found.st_size, found.st_mtime_ns) != (file.size, file.changed_ns):
        raise SourceChanged(f"{file.path} was changed while it was read; run again when nobody writes to it")
