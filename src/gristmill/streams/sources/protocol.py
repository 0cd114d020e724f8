"""What the driver and the workers ask of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gristmill.streams.checkpoint import Checkpoint, SourceMark
from gristmill.streams.chunk import Chunk
from gristmill.streams.dead_letter import DeadLetter
from gristmill.streams.formats.parquet_chunks import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that is none, or not what the handler takes.

    Attributes:
        stage: ``parse`` or ``validate``.
        code: The stable slug: ``column_count``, ``bad_encoding``, ``malformed_json``, ``invalid_item`` ...
        message: For people.
    """

    stage: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a row is: its bytes [start, end) in an input, and their text as it stands, if it has one.

    ``origin`` is the dead letter that tells where it was at first, if it comes from one.
    """

    source: int
    start: int
    end: int
    raw: bytes | None = None
    origin: DeadLetter | None = None


@dataclass(slots=True, kw_only=True)
class Rows:
    """The rows of a chunk, or of a block of it.

    Attributes:
        items: The good ones, as the handler takes them.
        numbers: Number of each of them among the records of the chunk, empty lines included.
        bad: number -> what is wrong with that record.
        total: Good and bad ones.
        blank: Empty lines, which are no rows.
        places: Finds where each record is; called only when one fails.
        start: Number of the first record, of which ``places`` gives the place first.
    """

    items: list[Any]
    numbers: Sequence[int] = ()
    bad: Mapping[int, BadRow] = field(default_factory=dict)
    total: int = 0
    blank: int = 0
    places: Callable[[], Sequence[Place]]
    start: int = 0

    def first(self, number: int) -> Rows:
        """Return the first *number* rows, good and bad ones."""
        kept = set(sorted([*self.numbers, *self.bad])[:number])
        good = [index for index, each in enumerate(self.numbers) if each in kept]
        return Rows(
            items=[self.items[index] for index in good],
            numbers=[self.numbers[index] for index in good],
            bad={each: why for each, why in self.bad.items() if each in kept},
            total=min(number, self.total),
            blank=self.blank,
            places=self.places,
            start=self.start,
        )


def whole(blocks: Iterator[Rows]) -> Rows:
    """Return the *blocks* of a chunk as one."""
    found = list(blocks)
    if len(found) == 1:
        return found[0]
    return Rows(
        items=[item for block in found for item in block.items],
        numbers=[number for block in found for number in block.numbers],
        bad={number: why for block in found for number, why in block.bad.items()},
        total=sum(block.total for block in found),
        blank=sum(block.blank for block in found),
        places=lambda: [place for block in found for place in block.places()],
    )


@dataclass(slots=True, kw_only=True)
class Columns:
    """The rows of a chunk as columns.

    Attributes:
        batch: The good rows, a ``pyarrow.RecordBatch``.
        numbers: Number of each of them among the records of the chunk, empty lines included.
        texts: column -> its text as it stands in the input, a string array; of those made from text.
        stored: column -> where the input has it, of those whose rows are all that are stored together.
        bad: number -> what is wrong with that record.
        total: Good and bad ones.
        blank: Empty lines, which are no rows.
        places: Finds where each record of the chunk is; called only when one fails.
        lines: Finds the records as they stand, ``formats.record_lines.Lines``; None where an output could not
            have them so; of CSV whose records are all good rows.
    """

    batch: Any
    numbers: Sequence[int]
    texts: Mapping[str, Any] = field(default_factory=dict)
    stored: Stored = field(default_factory=dict)
    bad: Mapping[int, BadRow] = field(default_factory=dict)
    total: int = 0
    blank: int = 0
    places: Callable[[], Sequence[Place]]
    lines: Callable[[], Any] | None = None

    def as_text(self) -> Any:
        """Return the good rows with the text of each column that was made from text."""
        batch = self.batch
        for place, name in enumerate(batch.schema.names):
            if name in self.texts:
                batch = batch.set_column(place, name, self.texts[name])
        return batch

    def chosen(self, indices: list[int]) -> Columns:
        """Return the same with the good rows at *indices* only."""
        return replace(
            self,
            batch=taken(self.batch, indices),
            texts={name: taken(text, indices) for name, text in self.texts.items()},
            numbers=[self.numbers[index] for index in indices],
            stored={},
            lines=None,
        )

    def first(self, number: int) -> Columns:
        """Return the first *number* rows, good and bad ones."""
        kept = set(sorted([*self.numbers, *self.bad])[:number])
        found = self.chosen([index for index, each in enumerate(self.numbers) if each in kept])
        bad = {each: why for each, why in self.bad.items() if each in kept}
        return replace(found, bad=bad, total=min(number, self.total))


def taken(columns: Any, indices: list[int]) -> Any:
    """Return the rows of an array or record batch at *indices*, which may be none."""
    return columns.take(indices) if indices else columns.slice(0, 0)


class ColumnReader(Protocol):
    """Reads chunks as columns, in a worker."""

    def read(self, chunk: Chunk) -> Columns:
        """Return the rows of *chunk*; raises as ``RowReader.read``."""

    def original(self, place: Place, item: Any) -> Any:
        """As ``RowReader.original``; *item* is the row as a dict."""


class RowReader(Protocol):
    """Reads chunks as rows, in a worker."""

    def read(self, chunk: Chunk, batch: int) -> Iterator[Rows]:
        """Yield the rows of *chunk*, block by block: small ones stay in the processor's cache.

        Args:
            chunk: Which.
            batch: Rows that the handler takes at once; blocks have about as many at least.

        Raises:
            SourceError: It cannot be read as what it should be; the run stops.
        """

    def original(self, place: Place, item: Any) -> Any:
        """Return the row at *place* as JSON takes it, for a dead letter: *item* as it was first."""


class ReaderRecipe(Protocol):
    """Makes readers in workers. Picklable."""

    def rows(self, item_type: Any) -> RowReader:
        """Return a reader of rows as *item_type*; ``Any`` for dicts."""

    def columns(self) -> ColumnReader:
        """Return a reader of columns."""


class Source(Protocol):
    """Inputs of one form, cut into chunks by the driver."""

    @property
    def names(self) -> Sequence[str]:
        """The inputs, as people know them."""

    @property
    def total(self) -> int | None:
        """The weight of all chunks together; None if nobody knows."""

    def weight(self, checkpoint: Checkpoint) -> int:
        """Return the weight of what is done at *checkpoint*, as far as that is known."""

    @property
    def columns(self) -> Sequence[str] | None:
        """The names of the columns, where rows have the same ones."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read, for the identity of a run; of JSON's types."""

    def open(self) -> Sequence[SourceMark]:
        """Look at the inputs; return what tells their states.

        Raises:
            SourceError: One cannot be read.
        """

    def recipe(self) -> ReaderRecipe:
        """Return what reads the chunks in workers; call ``open`` first."""

    def plan(self, checkpoint: Checkpoint, size: Callable[[], int]) -> Iterator[Chunk]:
        """Yield the chunks that are left, in order.

        Args:
            checkpoint: What is done.
            size: Says, before each chunk, about how many bytes it should have.

        Raises:
            SourceError: An input cannot be cut.
        """

    def close(self) -> None:
        """Let go of the inputs. Idempotent."""
