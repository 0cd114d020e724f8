"""Chunks as Parquet in which columns that were not touched are copied from the input, pages as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from gristmill.streams.formats.arrow_layout import fit, schema_of
from gristmill.streams.formats.parquet_chunks import (
    CODECS,
    ChunkTable,
    Stored,
    StoredChunk,
    StoredColumn,
    joined,
)
from gristmill.streams.formats.parquet_footer import (
    MAGIC,
    TAIL,
    piece_footer_size,
)
from gristmill.streams.formats.parquet_leaves import Leaf
from gristmill.streams.formats.table_encoding import Format
from gristmill.streams.sinks.protocol import Encoded


class CopyingWriter:
    """Writes a row group of copied and encoded columns as a whole Parquet file.

    Args:
        layout: The columns of the output.
        codec: The one that copied pages must have; None for any.
        write: Encodes a batch as a whole Parquet file.
    """

    def __init__(self, layout: bytes | None, codec: str | None, write: Format) -> None:
        self._schema = schema_of(layout)
        self._codec = None if codec is None else CODECS[codec]
        self._write = write
        empty = pa.RecordBatch.from_arrays(
            [pa.nulls(0, kind) for kind in self._schema.types], schema=self._schema
        )
        found = _chunks(memoryview(write(empty)))
        self._template = found.footer
        self._leaves: dict[str, Leaf | None] = dict(found.leaves)

    def write(self, batches: Sequence[Any], stored: Stored) -> Encoded | None:
        """Return the rows of *batches* as a file; None if no column can be copied, or a row does not fit.

        Args:
            batches: All rows of the row group that the chunks of *stored* are of, in order.
            stored: column -> what it is, as it was read.
        """
        kept = batches[0].schema
        copied = {
            name: column
            for name, column in stored.items()
            if name in self._schema.names and self._takes(name, kept.field(name).type, column.chunk)
        }
        if not copied:
            return None
        names = [name for name in self._schema.names if name not in copied]
        others = memoryview(b"")
        encoded: list[StoredChunk] = []
        if names:
            rest = self._rest(batches, names, copied)
            if rest is None:
                return None
            others = memoryview(self._write(rest)).cast("B")
            encoded = _chunks(others).all(0)
        rows = sum(batch.num_rows for batch in batches)
        return self._joined(rows, copied, encoded, others)

    def _takes(self, name: str, kind: Any, chunk: StoredChunk) -> bool:
        return (
            kind.equals(self._schema.field(name).type)
            and chunk.leaf == self._leaves.get(name)
            and self._codec in (None, chunk.codec)
        )

    def _rest(self, batches: Sequence[Any], names: list[str], copied: Stored) -> Any:
        """Return the columns that are to be encoded; None if a row does not fit them."""
        schema = pa.schema([self._schema.field(name) for name in names])
        fitting = []
        for batch in batches:
            mine = batch.select([name for name in batch.schema.names if name not in copied])
            found, unfit = fit(mine, schema)
            if unfit or found.num_rows != batch.num_rows:
                return None
            fitting.append(found)
        return fitting[0] if len(fitting) == 1 else pa.concat_batches(fitting)

    def _joined(
        self, rows: int, copied: Stored, encoded: Sequence[StoredChunk], others: memoryview
    ) -> Encoded:
        columns: list[StoredChunk] = []
        sources: list[StoredColumn | None] = []
        for name in self._schema.names:
            source = copied.get(name)
            found = (
                [each for each in encoded if each.column == name]
                if source is None
                else [source.chunk.named(name)]
            )
            columns += found
            sources += [source] * len(found)
        end, footer = joined(self._template, rows, columns)
        body = memoryview(pa.allocate_buffer(end + len(footer))).cast("B")
        body[: len(MAGIC)] = MAGIC
        body[end:] = footer
        at = len(MAGIC)
        for chunk, source in zip(columns, sources, strict=True):
            into = body[at : at + chunk.size]
            if source is None:
                into[:] = others[chunk.start : chunk.start + chunk.size]
            else:
                source.read(chunk.start, into)
            at += chunk.size
        return body


def _chunks(piece: memoryview) -> ChunkTable:
    size = piece_footer_size(piece)
    return ChunkTable(bytes(piece[-size:-TAIL]), len(piece) - size)
