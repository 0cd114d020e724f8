"""Parquet files as sources: chunks of row groups, read by the workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.errors import SourceChanged, SourceError
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.table_files import Block
from gristmill.streams.sources.table_reader import TableRecipe
from gristmill.streams.sources.text_file import Readable


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
    ) -> ReaderRecipe:
        """Return what reads chunks in workers."""
        return TableRecipe(opener=open_parquet, files=files, blocks=blocks, schema=schema, select=select)


def open_parquet(file: Readable) -> OpenParquet:
    """Return *file*, open."""
    return OpenParquet(file)


class OpenParquet:
    """A Parquet file that is open."""

    def __init__(self, file: Readable) -> None:
        check_unchanged(file)
        self._file = file
        self._parquet = pq.ParquetFile(file.path)

    def block(self, index: int, columns: Sequence[str]) -> Any:
        """Return *columns* of one row group."""
        check_unchanged(self._file)
        table = self._parquet.read_row_group(index, columns=list(columns), use_threads=False)
        batches = table.combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def check_unchanged(file: Readable) -> None:
    """Raise ``SourceChanged`` if *file* is not what it was when the run began."""
    try:
        found = os.stat(file.path)  # noqa: PTH116 - for each block
    except OSError as error:
        raise SourceError(f"{file.path} cannot be read: {error.strerror}") from error
    if (found.st_size, found.st_mtime_ns) != (file.size, file.changed_ns):
        raise SourceChanged(f"{file.path} was changed while it was read; run again when nobody writes to it")
