"""Files of tables as sources: cut into chunks of rows, along the blocks they were written in if that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from gristmill.batching.columnar import arrow
from gristmill.errors import SourceError
from gristmill.streams.checkpoint import Checkpoint, SourceMark, gaps
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.selection import chosen, identity_of
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.readable import Readable, look_at

_OVERSIZE = 8
"""How many times as large as what is wanted a block may be that is still read whole."""
_WHOLE = 256
"""The same for a block whose columns can be copied: it is cut where that many chunks are made of it."""
_DECODED = 4
"""How many times as large as its encoded bytes a block is in memory, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A row group or record batch: what is decoded as a whole.

    Attributes:
        rows: Its rows.
        size: Its encoded bytes.
    """

    rows: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeBlocks:
    """Which blocks are chunks of their own, so that their columns can be copied into the output.

    Small ones are better run together. That it depends on the file alone
    makes the output the same however a run goes.

    Attributes:
        rows: Of a block at most; where handlers take few at once, a block is too much for a chunk.
        smallest: Encoded bytes of a block at least.
        largest: Encoded bytes of a block at most.
    """

    rows: int
    smallest: int = 256 << 10
    largest: int = 64 << 20

    def has(self, block: Block) -> bool:
        """Tell whether *block* is one of them."""
        return 0 < block.rows <= self.rows and self.smallest <= block.size <= self.largest


class TableForm(Protocol):
    """A format of files that hold tables in blocks."""

    @property
    def name(self) -> str:
        """What it is called."""

    def look(self, path: str) -> tuple[Sequence[Block], bytes]:
        """Return the blocks of a file, and its Arrow schema, serialized.

        Raises:
            SourceError: It is not of this format.
        """

    def recipe(
        self,
        files: Sequence[Readable],
        blocks: Sequence[Sequence[int]],
        schema: bytes,
        select: Mapping[str, str],
        *,
        whole: Sequence[AbstractSet[int]],
    ) -> ReaderRecipe:
        """Return what reads chunks in workers.

        Args:
            files: Where each is.
            blocks: Of each file, the rows of its blocks.
            schema: The columns that rows have, under the names they have in the files.
            select: name -> the name it gets, of the columns to read.
            whole: Of each file, the blocks whose columns can be copied, if a chunk is one of them.
        """


class TableFiles:
    """Files of one table format, one after another.

    Args:
        paths: The files.
        form: Their format.
        select: name -> the name it gets, of the columns to read; None: all.
        rename: name -> the name it gets, of some columns, where all are read.
        join: Returns the one schema of the serialized ones it is given, with the paths they are of.
    """

    def __init__(
        self,
        paths: Sequence[str],
        form: TableForm,
        *,
        select: Mapping[str, str] | None,
        rename: Mapping[str, str] | None = None,
        join: Callable[[Sequence[bytes], Sequence[str]], tuple[bytes, Sequence[str]]],
    ) -> None:
        self.names = list(paths)
        self.total: int | None = None
        self._form = form
        self._select = select
        self._rename = rename
        self._join = join
        self._files: list[Readable] = []
        self._blocks: list[Sequence[Block]] = []
        self._schema = b""
        self._columns: Sequence[str] = ()
        self._whole: WholeBlocks | None = None

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns of all files, under the names they get."""
        return list(self._chosen().values())

    def layout(self) -> bytes:
        """Return the columns with their types, as a table that is written has them."""
        from gristmill.streams.formats.arrow_layout import layout_of  # noqa: PLC0415 - needs pyarrow

        pa = arrow()
        schema = pa.ipc.read_schema(pa.BufferReader(self._schema))
        chosen = self._chosen().items()
        return layout_of(pa.schema([(new, schema.field(name).type) for name, new in chosen]))

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""
        return {"input format": self._form.name, **identity_of(self._select, self._rename)}

    def open(self) -> Sequence[SourceMark]:
        """Look at every file: its size, its ends, its blocks and columns."""
        marks: list[SourceMark] = []
        schemas: list[bytes] = []
        for path in self.names:
            if path == "-":
                raise SourceError("this format is not read from a pipe; give the name of a file")
            mark, readable, _ = look_at(path, suffix=".parquet", is_piped=False)
            marks.append(mark)
            self._files.append(readable)
            blocks, schema = self._form.look(path)
            self._blocks.append(blocks)
            schemas.append(schema)
        self._schema, self._columns = self._join(schemas, self.names)
        self._chosen()  # says what cannot be
        self.total = sum(each.size for each in self._files)
        return marks

    def keep_whole(self, whole: WholeBlocks) -> None:
        """Make chunks of their own of these blocks, in runs that copy columns; call it before the run."""
        self._whole = whole

    def _chosen(self) -> Mapping[str, str]:
        return chosen(self._columns, self._select, self._rename)

    def recipe(self) -> ReaderRecipe:
        """Return what reads the chunks in workers."""
        rows = [[block.rows for block in blocks] for blocks in self._blocks]
        return self._form.recipe(
            self._files,
            rows,
            self._schema,
            self._chosen(),
            whole=[_those(self._whole, blocks) for blocks in self._blocks],
        )

    def plan(self, checkpoint: Checkpoint, size: Callable[[], int]) -> Iterator[Chunk]:
        """Yield the chunks that are left."""
        number = checkpoint.next
        for source in range(checkpoint.source, len(self.names)):
            blocks = self._blocks[source]
            total = sum(block.rows for block in blocks)
            done = [each for each in checkpoint.done if each.source == source]
            if not total and not done:
                yield Chunk(number=number, source=source, start=0, end=0, is_last=True)
                number += 1
            for start, stop in gaps(done, source, 0, total):
                for first, end, encoded in ranges(blocks, start, stop, size, self._whole):
                    yield Chunk(
                        number=number,
                        source=source,
                        start=first,
                        end=end,
                        is_last=end == total,
                        weight=self._weight(source, first, end, total),
                        encoded=encoded,
                    )
                    number += 1

    def weight(self, checkpoint: Checkpoint) -> int:
        """Return the weight of what is done, an estimate."""
        found = sum(each.size for each in self._files[: checkpoint.source])
        for each in checkpoint.done:
            if checkpoint.source <= each.source < len(self._files):
                total = sum(block.rows for block in self._blocks[each.source])
                found += self._weight(each.source, each.start, each.end, total) if total else 0
        return found

    def _weight(self, source: int, start: int, end: int, total: int) -> int:
        """Return the share of the file's bytes that stands for these rows; all add up to all."""
        size = self._files[source].size
        return size * end // total - size * start // total

    def close(self) -> None:
        """Let go of nothing: files are open only while they are looked at."""


def ranges(
    blocks: Sequence[Block],
    start: int,
    stop: int,
    size: Callable[[], int],
    whole: WholeBlocks | None = None,
) -> Iterator[tuple[int, int, int]]:
    """Yield [first, end) of rows that cover [start, stop), and about how many bytes each is in memory.

    A block is decoded as a whole, so whole ones are taken, several where they
    are small; a part of one only where it is far too large, as it is for slow
    handlers: then decoding it more than once is the least of their cost.

    Args:
        blocks: All of the file.
        start: The first row.
        stop: After the last row.
        size: Says how many bytes in memory the next range should have.
        whole: Which blocks are ranges of their own, as long as handlers are not very slow.
    """
    ends = list(accumulate(block.rows for block in blocks))
    index, at = 0, start
    while at < stop:
        wanted = max(1, size())
        first, cost = at, 0.0
        while at < stop:
            while ends[index] <= at:
                index += 1
            block = blocks[index]
            rows = min(ends[index], stop) - at
            if whole is not None and rows == block.rows and whole.has(block):
                if at > first:
                    break
                if block.size * _DECODED <= _WHOLE * wanted:
                    at, cost = ends[index], block.size * _DECODED
                    break
            per_row = max(1.0, block.size * _DECODED / block.rows)
            if cost + rows * per_row <= (2 if cost else _OVERSIZE) * wanted:
                at += rows
                cost += rows * per_row
                if cost * 2 >= wanted:
                    break
            elif at == first:
                at += max(1, min(rows, int(wanted / per_row)))
                cost = (at - first) * per_row
                break
            else:
                break
        yield first, at, int(cost)


def _those(whole: WholeBlocks | None, blocks: Sequence[Block]) -> frozenset[int]:
    if whole is None:
        return frozenset()
    return frozenset(index for index, block in enumerate(blocks) if whole.has(block))
