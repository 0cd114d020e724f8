"""Chunks of table files as columns and as rows, in a worker."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

import pyarrow as pa

from gristmill.errors import SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.arrow_layout import selected
from gristmill.streams.formats.column_text import rows_of
from gristmill.streams.formats.parquet_chunks import Stored
from gristmill.streams.formats.typed_rows import Converter, converter
from gristmill.streams.sources.protocol import BadRow, Columns, Place, Rows
from gristmill.streams.sources.readable import Readable


class Opened(Protocol):
    """A table file that is open."""

    def block(self, index: int, columns: Sequence[str]) -> Any:
        """Return these *columns* of one block as a ``pyarrow.RecordBatch``."""

    def stored(self, index: int) -> Stored:
        """Return the columns of one block that can be copied as they lie in the file."""


class Opener(Protocol):
    """Opens files of one format. Picklable."""

    def __call__(self, file: Readable) -> Opened:
        """Return *file*, open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecipe:
    """Makes readers of table files in workers.

    Attributes:
        opener: Opens them.
        files: Where each is.
        blocks: Of each file, the rows of its blocks.
        schema: The columns that rows have, serialized, under the names of the files.
        select: name -> the name it gets.
        whole: Of each file, the blocks whose columns can be copied; these depend on the file alone.
    """

    opener: Opener
    files: Sequence[Readable]
    blocks: Sequence[Sequence[int]]
    schema: bytes
    select: Mapping[str, str]
    whole: Sequence[AbstractSet[int]]

    def rows(self, item_type: Any) -> TableRowReader:
        """Return a reader of rows as *item_type*."""
        return TableRowReader(TableReader(self), converter(item_type))

    def columns(self) -> TableReader:
        """Return a reader of columns."""
        return TableReader(self)


class TableReader:
    """Reads chunks of table files as columns; keeps the last file open, and its last block."""

    def __init__(self, recipe: TableRecipe) -> None:
        self._recipe = recipe
        self._schema = pa.ipc.read_schema(pa.BufferReader(recipe.schema))
        self._ends = [list(accumulate(rows)) for rows in recipe.blocks]
        self._source = -1
        self._opened: Opened | None = None
        self._kept: tuple[int, int, Any] | None = None
        self._as_stored: frozenset[str] = frozenset()

    def read(self, chunk: Chunk) -> Columns:
        """Return the rows of *chunk*."""
        batch = self._batch(chunk)
        return Columns(
            batch=batch,
            numbers=range(batch.num_rows),
            total=batch.num_rows,
            stored=self._stored(chunk),
            places=lambda: [
                Place(source=chunk.source, start=row, end=row + 1) for row in range(chunk.start, chunk.end)
            ],
        )

    def _stored(self, chunk: Chunk) -> Stored:
        """Return what can be copied of a chunk that is one block, under the names that columns get."""
        select = self._recipe.select
        ends = self._ends[chunk.source]
        starts = [0, *ends]
        index = bisect_right(ends, chunk.start)  # past blocks without rows
        is_block = index < len(ends) and (starts[index], ends[index]) == (chunk.start, chunk.end)
        if self._opened is None or not is_block or index not in self._recipe.whole[chunk.source]:
            return {}
        found = self._opened.stored(index)
        return {select[name]: column for name, column in found.items() if name in self._as_stored}

    def _batch(self, chunk: Chunk) -> Any:
        parts = list(self._parts(chunk))
        if len(parts) == 1:
            return parts[0]
        if not parts:
            names = self._recipe.select
            fields = [pa.field(new, self._schema.field(name).type) for name, new in names.items()]
            return pa.RecordBatch.from_pylist([], schema=pa.schema(fields))
        return pa.concat_batches(parts)

    def _parts(self, chunk: Chunk) -> Iterator[Any]:
        path = self._recipe.files[chunk.source].path
        if chunk.source != self._source:
            self._opened = self._recipe.opener(self._recipe.files[chunk.source])
            self._source, self._kept = chunk.source, None
        start = 0
        for index, end in enumerate(self._ends[chunk.source]):
            first, stop = max(start, chunk.start), min(end, chunk.end)
            if first < stop:
                try:
                    block = self._block(chunk.source, index, is_whole=stop - first == end - start)
                except (OSError, pa.ArrowException) as error:
                    raise SourceError(f"{path}, rows {start:,} to {end:,}: {error}") from error
                yield block.slice(first - start, stop - first)
            start = end

    def _block(self, source: int, index: int, *, is_whole: bool) -> Any:
        if self._kept is not None and self._kept[:2] == (source, index):
            return self._kept[2]
        assert self._opened is not None  # noqa: S101 - opened by _parts
        read = self._opened.block(index, list(self._recipe.select))
        self._as_stored = frozenset(
            field.name for field in read.schema if field.type.equals(self._schema.field(field.name).type)
        )
        block = selected(read, self._schema, self._recipe.select)
        self._kept = None if is_whole else (source, index, block)
        return block

    def original(self, place: Place, item: Any) -> Any:  # noqa: ARG002 - a table is not changed by handlers
        """Return *item*."""
        return item


class TableRowReader:
    """Reads chunks of table files as rows."""

    def __init__(self, columns: TableReader, convert: Converter | None) -> None:
        self._columns = columns
        self._convert = convert

    def read(self, chunk: Chunk, batch: int) -> Iterator[Rows]:  # noqa: ARG002 - one block
        """Yield the rows of *chunk*."""
        found = self._columns.read(chunk)
        items: list[Any] = rows_of(found.batch)
        numbers: Sequence[int] = range(len(items))
        bad: Mapping[int, BadRow] = {}
        if self._convert is not None:
            items, numbers, bad = self._convert.all(items, numbers)
        yield Rows(items=items, numbers=numbers, bad=bad, total=found.total, places=found.places)

    def original(self, place: Place, item: Any) -> Any:  # noqa: ARG002 - as above
        """Return *item*."""
        return item
