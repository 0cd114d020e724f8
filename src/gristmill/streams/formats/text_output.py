"""CSV and JSON lines as files that chunks are appended to, plain or compressed chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from gristmill.streams.formats.compression import Compression, compress
from gristmill.streams.formats.csv_writing import CsvRowRecipe, header_line
from gristmill.streams.formats.ndjson_writing import LineRecipe
from gristmill.streams.sinks.appending import Bytes
from gristmill.streams.sinks.protocol import (
    ColumnEncoder,
    ContinuingEncoder,
    Encoded,
    EncoderRecipe,
    RowEncoder,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOutput:
    """A text format, and how it is compressed.

    Compressed chunks are members (gzip) or frames (zstd) of their own, which
    readers of these formats take for one stream: so a compressed file can be
    cut back to a commit as a plain one can.

    Attributes:
        delimiter: Of CSV; None for JSON lines.
        compression: Of the file.
        columns: Of CSV, in their order; None: those of the results.
    """

    delimiter: str | None
    compression: Compression = Compression.NONE
    columns: tuple[str, ...] | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output."""
        form = "ndjson" if self.delimiter is None else "csv"
        columns = None if self.columns is None else list(self.columns)
        return {
            "output format": form,
            "output delimiter": self.delimiter,
            "output compression": self.compression.value,
            "output columns": columns,
        }

    @property
    def is_streamed(self) -> bool:
        """It can go to a pipe."""
        return True

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""
        inner: Any = (
            LineColumnRecipe()
            if self.delimiter is None
            else CsvColumnRecipe(delimiter=self.delimiter, columns=self.columns)
        )
        found: Any = inner if self.compression is Compression.NONE else Compressed(inner, self.compression)
        recipe: EncoderRecipe = found
        return recipe

    def head(self, layout: bytes | None) -> bytes:
        """Return the header."""
        line = b"" if self.delimiter is None else header_line(layout, self.delimiter)
        return compress(line, self.compression)

    def frame(self, body: Bytes) -> Iterable[Bytes]:
        """Yield the body."""
        yield body

    def tail(self, file: BinaryIO, length: int) -> Iterable[bytes]:  # noqa: ARG002 - nothing follows
        """Yield nothing."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvColumnRecipe(CsvRowRecipe):
    """Makes encoders of CSV, of columns too."""

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""
        from gristmill.streams.formats.column_text import CsvColumnEncoder  # noqa: PLC0415 - needs pyarrow

        return CsvColumnEncoder(self.delimiter, self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineColumnRecipe(LineRecipe):
    """Makes encoders of JSON lines, of columns too."""

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""
        from gristmill.streams.formats.column_text import LineColumnEncoder  # noqa: PLC0415 - needs pyarrow

        return LineColumnEncoder()


@dataclass(frozen=True, slots=True)
class Compressed:
    """Compresses what another recipe's encoders give.

    Attributes:
        inner: The other one.
        compression: How.
    """

    inner: Any
    compression: Compression

    @property
    def needs_layout(self) -> bool:
        """As the inner one."""
        return bool(self.inner.needs_layout)

    def rows(self, result_type: Any) -> RowEncoder:
        """Return an encoder."""
        return CompressedRows(self.inner.rows(result_type), self.compression)

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""
        return CompressedColumns(self.inner.column_encoder(), self.compression)


class CompressedRows:
    """Compresses what another encoder of rows gives."""

    def __init__(self, inner: RowEncoder, compression: Compression) -> None:
        self._inner = inner
        self._compression = compression

    @property
    def is_joinable(self) -> bool:
        """They could be, but small parts compress badly."""
        return False

    def layout(self, results: Sequence[Any]) -> bytes | None:
        """Return what the inner one does."""
        return self._inner.layout(results)

    def encode(self, results: Sequence[Any], layout: bytes | None) -> tuple[bytes, Mapping[int, str]]:
        """Return what the inner one does, compressed."""
        body, bad = self._inner.encode(results, layout)
        return compress(bytes(body), self._compression), bad


class CompressedColumns:
    """Compresses what another encoder of columns gives."""

    def __init__(self, inner: ColumnEncoder, compression: Compression) -> None:
        self._inner = inner
        self._compression = compression

    @property
    def wants_text(self) -> bool:
        """As the inner one."""
        return self._inner.wants_text

    def layout(self, batch: Any) -> bytes | None:
        """Return what the inner one does."""
        return self._inner.layout(batch)

    def encode(self, batches: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return what the inner one does, compressed."""
        body, bad = self._inner.encode(batches, layout)
        return compress(bytes(body), self._compression), bad

    def encode_continued(self, batches: Sequence[Any], layout: bytes | None, lines: Any) -> Encoded | None:
        """Return what the inner one does, compressed; None if it cannot."""
        if not isinstance(self._inner, ContinuingEncoder):
            return None
        body = self._inner.encode_continued(batches, layout, lines)
        return None if body is None else compress(bytes(body), self._compression)
