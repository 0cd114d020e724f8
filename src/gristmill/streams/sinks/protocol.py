"""What the driver and the workers ask of a sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.chunk import Refusal, Result
from gristmill.streams.formats.parquet_chunks import Stored


class RowsRefused(Exception):
    """The sink does not take some rows of a result, and has written nothing of it.

    Its caller writes them down as failed, and gives the result again with
    their indices in ``Result.refused``.

    Attributes:
        rows: index in ``Result.numbers`` -> why; all that are bad, as far as the sink can tell.
    """

    def __init__(self, rows: Mapping[int, Refusal]) -> None:
        super().__init__(f"{len(rows)} rows")
        self.rows = rows


Encoded: TypeAlias = bytes | bytearray | memoryview


class RowEncoder(Protocol):
    """Turns results into what the sink writes, in a worker."""

    @property
    def is_joinable(self) -> bool:
        """Whether the encoded parts of a chunk, one after another, are the chunk encoded."""

    def layout(self, results: Sequence[Any]) -> bytes | None:
        """Return the columns that *results* decide; None if the sink needs none, or they decide nothing."""

    def encode(self, results: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return the encoded results, and for those that cannot be: index -> why. They are left out."""


class ColumnEncoder(Protocol):
    """Turns columns into what the sink writes, in a worker."""

    @property
    def wants_text(self) -> bool:
        """Whether columns that the handler has not touched come as the text they were made from."""

    def layout(self, batch: Any) -> bytes | None:
        """Return the columns that *batch*, a ``pyarrow.RecordBatch`` with rows, decides."""

    def encode(self, batches: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return the encoded rows; for those that cannot be, which are left out: index -> why."""


@runtime_checkable
class CopyingEncoder(ColumnEncoder, Protocol):
    """A column encoder that can copy, from the input, columns which the handler has not touched."""

    def encode_copied(self, batches: Sequence[Any], layout: bytes | None, stored: Stored) -> Encoded | None:
        """Return the encoded rows; None if they are to be encoded as others are.

        Args:
            batches: The rows.
            layout: The columns of the output.
            stored: column -> where the input has it; each holds the rows of *batches*, in their order.
        """


@runtime_checkable
class ContinuingEncoder(ColumnEncoder, Protocol):
    """A column encoder that can hand on the records of the input and go on after each."""

    def encode_continued(self, batches: Sequence[Any], layout: bytes | None, lines: Any) -> Encoded | None:
        """Return the encoded rows; None if they are to be encoded as others are.

        Args:
            batches: The rows. They begin with all columns of *lines*, none of them touched.
            layout: The columns of the output.
            lines: The records that the rows of *batches* are made of, ``formats.record_lines.Lines``.
        """


class EncoderRecipe(Protocol):
    """Makes encoders in workers. Picklable."""

    @property
    def needs_layout(self) -> bool:
        """Whether all chunks must have the same columns, which the first one decides."""

    def rows(self, result_type: Any) -> RowEncoder:
        """Return an encoder of rows of *result_type*; ``Any`` for dicts and whatever comes."""

    def column_encoder(self) -> ColumnEncoder:
        """Return an encoder of columns."""


@runtime_checkable
class TypedRecipe(EncoderRecipe, Protocol):
    """A recipe of an output whose columns have types."""

    def knowing(self, layout: bytes) -> EncoderRecipe:
        """Return the same for an input that has columns with types too, those of *layout*.

        They count where the first results do not tell the types of all that follow.
        """


class Sink(Protocol):
    """Takes results and commits them together with a checkpoint, in one atomic step."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides the output, for the identity of a run; of JSON's types."""

    @property
    def length(self) -> int:
        """What was written so far, as ``Checkpoint.out`` counts it."""

    @property
    def commit_seconds(self) -> float:
        """Seconds between commits at most; 0 where others wait while something is not committed."""

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers."""

    def open(self, identity: Identity, *, overwrite: bool) -> Checkpoint | None:
        """Begin the run, or go on with it: what was written after its last commit is gone then.

        Returns:
            The last checkpoint of the same run; None if there was none.

        Raises:
            ConfigurationError: What is there is of another run.
            SinkError: It cannot be written.
        """

    def write(self, result: Result) -> None:
        """Write *result*; it counts from the next commit on.

        Raises:
            RowsRefused: It does not take some of its rows.
            SinkError: The disk is full, the database away.
        """

    def commit(self, checkpoint: Checkpoint) -> None:
        """Record *checkpoint* with all that was written before; both are safe when this returns.

        Raises:
            SinkError: As ``write``; nothing after the last commit counts then.
            SinkTaken: Another process has gone on with the run.
        """

    def finish(self, checkpoint: Checkpoint, layout: bytes | None) -> None:
        """Put the output in its place and record *checkpoint*, which says that the run is over.

        Args:
            checkpoint: The last one.
            layout: The columns to use if no result has decided them.
        """

    def close(self) -> None:
        """Let go of everything without a commit. Idempotent."""
