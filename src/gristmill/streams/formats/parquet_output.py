"""Parquet as a file that chunks are appended to: each is a row group, and the end one footer for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.streams.formats.arrow_layout import schema_of
from gristmill.streams.formats.parquet_chunks import Stored
from gristmill.streams.formats.parquet_copying import CopyingWriter
from gristmill.streams.formats.parquet_partial import joint_footer, trailer
from gristmill.streams.formats.table_encoding import TableColumnEncoder, TableRowEncoder
from gristmill.streams.sinks.appending import Bytes
from gristmill.streams.sinks.protocol import ColumnEncoder, Encoded, EncoderRecipe, RowEncoder

USUAL_CODEC = "zstd"
_SAMPLED = 4096
"""Values that tell whether a column repeats itself."""
_REPEATING = 0.5


@dataclass(frozen=True, slots=True)
class WriteParquet:
    """Encodes a batch as a whole Parquet file.

    Attributes:
        codec: ``zstd``, ``snappy``, ``lz4``, ``gzip`` or ``none``; None for the usual one.
    """

    codec: str | None

    def __call__(self, batch: Any) -> Encoded:
        """Return *batch* as a file of one row group.

        Columns of which a sample hardly repeats itself get no dictionary: it
        would be built, grow too large, and be thrown away.
        """
        out = pa.BufferOutputStream()
        pq.write_table(
            pa.Table.from_batches([batch]),
            out,
            compression=self.codec or USUAL_CODEC,
            use_dictionary=[name for name in batch.schema.names if _repeats(batch.column(name))],
            row_group_size=max(1, batch.num_rows),
        )
        return memoryview(out.getvalue())


def _repeats(column: Any) -> bool:
    if pa.types.is_boolean(column.type):
        return False
    if pa.types.is_nested(column.type):
        return True
    sample = column.slice(0, _SAMPLED)
    try:
        distinct: int = pc.count_distinct(sample).as_py()
    except pa.ArrowNotImplementedError:
        return True
    return distinct <= _REPEATING * len(sample)


class ParquetColumnEncoder(TableColumnEncoder):
    """Encodes columns as Parquet; those that were not touched are copied as the input has them.

    Args:
        codec: As of ``WriteParquet``. With None, what is copied keeps its own.
    """

    def __init__(self, codec: str | None) -> None:
        self._codec = codec
        self._format = WriteParquet(codec)
        super().__init__(self._format)
        self._copying: tuple[bytes | None, CopyingWriter] | None = None

    def encode_copied(self, batches: Sequence[Any], layout: bytes | None, stored: Stored) -> Encoded | None:
        """Return the rows as a file; see ``CopyingEncoder``."""
        if self._copying is None or self._copying[0] != layout:
            self._copying = (layout, CopyingWriter(layout, self._codec, self._format))
        return self._copying[1].write(batches, stored)


@dataclass(frozen=True, slots=True)
class ParquetRecipe:
    """Makes encoders of Parquet.

    Attributes:
        codec: As of ``WriteParquet``.
        given: As of ``TableRowEncoder``.
    """

    codec: str | None = None
    given: bytes | None = None

    @property
    def needs_layout(self) -> bool:
        """Always: a file has one schema."""
        return True

    def rows(self, result_type: Any) -> RowEncoder:
        """Return an encoder of rows."""
        return TableRowEncoder(WriteParquet(self.codec), result_type, self.given)

    def knowing(self, layout: bytes) -> ParquetRecipe:
        """Return the same for an input that has columns with types."""
        return replace(self, given=layout)

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""
        return ParquetColumnEncoder(self.codec)


@dataclass(frozen=True, slots=True)
class ParquetOutput:
    """Parquet; see ``Appending``.

    Attributes:
        codec: As of ``WriteParquet``.
    """

    codec: str | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output."""
        return {"output format": "parquet", "output compression": self.codec}

    @property
    def is_streamed(self) -> bool:
        """Its end says where everything lies, so what was written must be readable."""
        return False

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""
        return ParquetRecipe(self.codec)

    def head(self, layout: bytes | None) -> bytes:
        """Return a piece without rows: its columns are those of a file in which no row comes."""
        schema = schema_of(layout)
        empty = pa.Table.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)
        out = pa.BufferOutputStream()
        pq.write_table(empty, out, compression=self.codec or USUAL_CODEC)
        piece: bytes = out.getvalue().to_pybytes()
        return piece + trailer(piece)

    def frame(self, body: Bytes) -> Iterable[Bytes]:
        """Yield the piece, and what finds it again."""
        yield body
        yield trailer(body)

    def tail(self, file: BinaryIO, length: int) -> Iterable[bytes]:
        """Yield the one footer."""
        parts = list(joint_footer(file, length))
        file.seek(length)
        return parts


def rows_in(path: Path) -> int:
    """Return the rows of a Parquet file."""
    rows: int = pq.read_metadata(path).num_rows
    return rows
