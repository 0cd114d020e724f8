"""A chunk of a file: the unit of transfer, retry, order and commit; the task and the result it travels in.

Pure data, small and picklable: the descriptor of a chunk crosses to the
worker, its rows do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One range of one input.

    Attributes:
        number: Its place in the order of the run, from 0; after a resume it goes on where the last run was.
        source: Index of the input among the inputs of the run.
        start: Where it begins: bytes for text (of the uncompressed text), rows for Parquet, Arrow and tables.
        end: Where it ends, exclusive.
        is_last: Whether nothing of the input follows. Every input has one such chunk, maybe an empty one.
        weight: Bytes of the input's file it stands for, for the progress shown; compressed bytes as they lie.
        body: Its content, where workers cannot read it themselves (a pipe, a compressed file, a query).
        encoded: Bytes of it in memory, about, where start and end count rows.
        key: Where to go on after it, for inputs that a number alone does not find again: the key of its last
            row, as the source writes it.
    """

    number: int
    source: int
    start: int
    end: int
    is_last: bool = False
    weight: int = 0
    body: bytes | None = None
    encoded: int = 0
    key: str | None = None

    @property
    def size(self) -> int:
        """Bytes of it, as sizes of chunks are planned in; rows where nobody knows its bytes."""
        return self.encoded or self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """Why a row may not be run any more.

    Attributes:
        code: ``crashed`` or ``deadline_exceeded``.
        message: What its worker died of.
        deaths: How often it did.
    """

    code: str
    message: str
    deaths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the sink does not take the result of a row.

    Attributes:
        code: The stable slug: ``unique_violation``, ``not_null_violation`` ...
        message: What the sink said.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is to do with a chunk.

    Attributes:
        chunk: Which.
        only: Run the rows [first, stop) alone, in a few parts, and return nothing of them: a probe, to see
            which of them kill the worker. None: run all and return the result.
        batch_size: Rows of a handler call at most; None for what the handler takes.
        limit: Rows to read at most; None for all of the chunk.
        convicted: number of a record in the chunk -> why it is not run but failed.
        layout: The sink's columns, once they are known; None lets this chunk decide them.
        refused: number of a row in the chunk -> why the sink does not take its result. If there are some, the
            handler is not called: the result is nothing but their dead letters.
    """

    chunk: Chunk
    only: tuple[int, int] | None = None
    batch_size: int | None = None
    limit: int | None = None
    convicted: Mapping[int, Crash] = field(default_factory=dict)
    layout: bytes | None = None
    refused: Mapping[int, Refusal] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What became of rows; ``read`` is the sum of the three below it.

    Attributes:
        read: Rows read.
        succeeded: Whose result went to the sink.
        failed: In the dead-letter file.
        filtered: Whose result was None: dropped on purpose.
        blank: Empty lines, which are no rows.
    """

    read: int = 0
    succeeded: int = 0
    failed: int = 0
    filtered: int = 0
    blank: int = 0

    def add(self, other: Counts) -> None:
        """Add *other* to this one."""
        self.read += other.read
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.filtered += other.filtered
        self.blank += other.blank


@dataclass(slots=True, kw_only=True)
class Result:
    """What a worker returns of a chunk.

    Attributes:
        number: The chunk's.
        body: The encoded rows for the sink.
        dead: Lines of the dead-letter file.
        counts: What became of the rows.
        layout: The sink's columns, if this chunk decided them.
        batches: Handler calls.
        seconds: Spent in them.
        batch_size: Of the last batch, for display.
        batch_cap: Rows that the handler takes at once; 0 if nobody knows.
        codes: code of failures -> how many.
        numbers: Of each result that was given to the encoder, the number of its row in the chunk.
        refused: Indices, in ``numbers``, of results in the body that the sink has refused and must leave out.
    """

    number: int
    body: bytes | bytearray | memoryview = b""
    dead: bytes = b""
    counts: Counts = field(default_factory=Counts)
    layout: bytes | None = None
    batches: int = 0
    seconds: float = 0.0
    batch_size: int = 0
    batch_cap: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    numbers: Sequence[int] = ()
    refused: frozenset[int] = frozenset()
