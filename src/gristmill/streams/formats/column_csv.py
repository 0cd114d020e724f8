"""CSV as columns: parsed by Arrow where all of a chunk is well, by the reader of rows elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.column_casts import cast_text
from gristmill.streams.formats.column_types import ColumnType
from gristmill.streams.formats.csv_form import CsvRecipe
from gristmill.streams.formats.csv_records import Quotes, check_quotes, needed_quotes, spans
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.record_lines import Lines, lines_of
from gristmill.streams.sources.protocol import BadRow, Columns, Place, whole

_UTF_8 = frozenset(("utf-8", "utf8", "ascii", "us-ascii"))
_FEW, _PER_QUOTED = 1000, 256
"""Cells in quotes, and bytes of a chunk for each; to find more of them would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class _Sound:
    """Text that Arrow reads as rows are read: in UTF-8, quotes where they may be.

    Attributes:
        text: All of it.
        quotes: Those in it, if all are needed, and few.
    """

    text: bytes
    quotes: Quotes | None


class CsvColumnReader:
    """Reads chunks of CSV as columns.

    All cells are read as text, which Arrow does fastest; then the columns
    that have another type are made from it. So a cell that does not fit fails
    its row and no other, and the text is at hand for a sink that writes text.

    Args:
        recipe: Of the files.
        types: column -> its type; the others are text.
    """

    def __init__(self, recipe: CsvRecipe, types: Mapping[str, ColumnType]) -> None:
        self._recipe = recipe
        self._form = recipe.form
        self._types = types
        self._rows = recipe.rows(Any)
        self._layouts = [
            None if head.columns is None else self._form.layout(head.columns) for head in recipe.heads
        ]
        self._is_utf_8 = self._form.encoding.lower() in _UTF_8

    def read(self, chunk: Chunk) -> Columns:
        """Return the rows of *chunk*."""
        layout = self._layouts[chunk.source]
        if layout is None:
            return Columns(batch=pa.RecordBatch.from_pylist([]), numbers=(), places=list)
        start = max(chunk.start, self._recipe.heads[chunk.source].length)
        if start >= chunk.end:
            return Columns(batch=_empty(layout), numbers=(), places=list)
        text = self._text(chunk, start)
        sound = self._sound(text, layout)
        found = None if sound is None else self._parsed(sound, layout)
        if sound is None or found is None:
            return self._one_by_one(chunk, layout)
        batch, numbers, blank = found
        columns = Columns(
            batch=batch,
            numbers=numbers,
            total=batch.num_rows,
            blank=blank,
            places=lambda: _places(text, chunk.source, start, self._form.dialect),
            lines=lambda: self._lines(sound, layout, batch),
        )
        return self._typed(columns)

    def _text(self, chunk: Chunk, start: int) -> bytes:
        if chunk.body is not None:
            return chunk.body[start - chunk.start :]
        return self._recipe.files[chunk.source].read(start, chunk.end)

    def _parsed(self, sound: _Sound, layout: Layout) -> tuple[Any, Sequence[int], int] | None:
        """Return the cells, the number of each row, and the blank lines; None if not all records are rows."""
        text, dialect = sound.text, self._form.dialect
        batch = _read(text, layout, dialect, passes_blank=False)
        if batch is None:
            return None
        if not _has_empty(batch) or not _may_have_blank(text):
            return batch, range(batch.num_rows), 0
        batch = _read(text, layout, dialect, passes_blank=True)
        found = spans(text, dialect)
        numbers = [number for number, (first, end) in enumerate(found) if text[first:end].strip(b"\r\n")]
        if len(numbers) != batch.num_rows:
            return None
        return batch, numbers, len(found) - len(numbers)

    def _sound(self, text: bytes, layout: Layout) -> _Sound | None:
        """Return *text* in UTF-8; None if Arrow would not read it as rows are read."""
        dialect = self._form.dialect
        if b"\0" in text or layout.extra is not None:
            return None
        quotes = needed_quotes(text, dialect, max(_FEW, len(text) // _PER_QUOTED))
        if quotes is None and dialect.quoting != "none" and check_quotes(text, dialect) is not None:
            return None
        if self._is_utf_8:
            return _Sound(text, quotes) if _is_utf_8(text) else None
        try:
            return _Sound(text.decode(self._form.encoding).encode(), None)
        except UnicodeError:
            return None

    def _lines(self, sound: _Sound, layout: Layout, batch: Any) -> Lines | None:
        """Return the records of *sound* as they stand; None where a writer would not write them so."""
        is_all = [place for _, place in layout.columns] == list(range(layout.width))
        if sound.quotes is None or not is_all:
            return None
        return lines_of(sound.text, self._form.dialect.delimiter, batch.columns, sound.quotes)

    def _one_by_one(self, chunk: Chunk, layout: Layout) -> Columns:
        rows = whole(self._rows.read(chunk, 0))
        names = [name for name, _ in layout.columns]
        if layout.extra is not None:
            names.append(layout.extra)
        arrays = [pa.array([row[name] for row in rows.items], pa.string()) for name in names]
        return self._typed(
            Columns(
                batch=pa.RecordBatch.from_arrays(arrays, names=names),
                numbers=rows.numbers,
                bad=rows.bad,
                total=rows.total,
                blank=rows.blank,
                places=rows.places,
            )
        )

    def _typed(self, columns: Columns) -> Columns:
        """Make columns of types; the rows in which a cell does not fit are bad."""
        texts = {name: columns.batch.column(name) for name in columns.batch.schema.names}
        arrays: list[Any] = []
        unfit: dict[int, str] = {}
        for name, text in texts.items():
            wanted = self._types.get(name)
            array, why = (text, {}) if wanted is None else cast_text(text, wanted)
            arrays.append(array)
            for index, reason in why.items():
                unfit.setdefault(index, f"column {name}: {reason}")
        columns.batch = pa.RecordBatch.from_arrays(arrays, names=list(texts))
        columns.texts = {
            name: text for (name, text), array in zip(texts.items(), arrays, strict=True) if array is not text
        }
        return _left_out(columns, unfit) if unfit else columns

    def original(self, place: Place, item: Any) -> Any:
        """Return the row as the file has it."""
        return self._rows.original(place, item)


def _left_out(columns: Columns, unfit: Mapping[int, str]) -> Columns:
    bad = dict(columns.bad)
    for index, why in unfit.items():
        bad[columns.numbers[index]] = BadRow(stage="validate", code="invalid_item", message=why)
    found = columns.chosen([index for index in range(columns.batch.num_rows) if index not in unfit])
    return replace(found, bad=bad)


def _read(text: bytes, layout: Layout, dialect: Dialect, *, passes_blank: bool) -> Any:
    """Return the cells of *text* as Arrow reads them; None if it does not.

    Args:
        text: Whole records, in UTF-8 for sure.
        layout: The columns.
        dialect: Delimiter and quotes.
        passes_blank: Whether blank lines are passed over; else all cells of such a row are empty, which is
            seen sooner than a blank line is found.
    """
    names = [str(place) for place in range(layout.width)]  # those of the file may be there twice
    wanted = [str(place) for _, place in layout.columns]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text),
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=min(len(text) + 1, 2**31 - 1)
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=False if dialect.quoting == "none" else '"',
                newlines_in_values=dialect.quoting != "none",
                ignore_empty_lines=passes_blank,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                strings_can_be_null=False,
                check_utf8=False,  # the text is, as a whole
            ),
        )
    except pa.ArrowInvalid:
        return None
    arrays = [_one(table.column(place)) for place in range(table.num_columns)]
    return pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in layout.columns])


def _is_utf_8(text: bytes) -> bool:
    """Tell whether *text* is UTF-8; in one piece that takes a quarter of what it takes cell by cell."""
    ends = pa.array([0, len(text)], pa.int64()).buffers()[1]
    try:
        pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(text)]).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _one(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _empty(layout: Layout) -> Any:
    names = [name for name, _ in layout.columns]
    return pa.RecordBatch.from_arrays([pa.array([], pa.string())] * len(names), names=names)


def _has_empty(batch: Any) -> bool:
    """Tell whether each column of *batch* has an empty cell, as it does where a row is of a blank line."""
    return all(
        len(column) and pc.min_max(pc.binary_length(column))["min"].as_py() == 0 for column in batch.columns
    )


def _may_have_blank(text: bytes) -> bool:
    return text[:1] in (b"\r", b"\n") or b"\n\n" in text or b"\n\r" in text or b"\r\r" in text


def _places(text: bytes, source: int, start: int, dialect: Dialect) -> list[Place]:
    return [
        Place(source=source, start=start + first, end=start + end, raw=text[first:end])
        for first, end in spans(text, dialect)
    ]


@dataclass(frozen=True, slots=True)
class CsvColumnRecipe:
    """Makes readers of CSV, of columns too.

    Attributes:
        inner: Makes readers of rows.
        types: column -> its type.
    """

    inner: CsvRecipe
    types: Mapping[str, ColumnType]

    def rows(self, item_type: Any) -> Any:
        """Return a reader of rows."""
        return self.inner.rows(item_type)

    def columns(self) -> CsvColumnReader:
        """Return a reader of columns."""
        return CsvColumnReader(self.inner, self.types)
