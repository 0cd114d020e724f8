"""How a pipeline reads, runs and writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from gristmill.errors import ConfigurationError
from gristmill.streams.failures import FailureLimit
from gristmill.streams.formats.dialect import Quoting
from gristmill.streams.formats.header import OnDuplicate
from gristmill.streams.sql.database import OnConflict

CODECS = ("zstd", "snappy", "lz4", "gzip", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How inputs are read.

    Attributes:
        format: ``csv``, ``tsv``, ``ndjson``, ``parquet``, ``arrow`` or ``dead-letter``; None: by the names.
        delimiter: Of CSV; None: by the format.
        quoting: Of CSV: ``rfc4180``, ``lenient`` (stray quotes are characters) or ``none``.
        encoding: Of CSV.
        on_duplicate: What becomes of columns of one name: ``error``, ``rename`` or ``first``.
        header: The names of the columns of CSV files without a header.
        pad: Whether missing cells at the end of a CSV row are empty.
        extra: Name of the column that gets the cells of a CSV row beyond the header.
        select: name -> the name it gets, of the columns to read; None: all.
        rename: name -> the name it gets, of some columns, where all are read: without *select*, which says
            new names itself.
        max_record: Bytes of one record at most.
        types: column -> type, for columnar handlers: ``int64``, ``double``, ``bool``, ``string``, ``date32``,
            ``timestamp[us]``, ``decimal(12,2)`` and their smaller kin.
        infer: Whether a columnar handler gets the other columns of text in the types that samples have;
            False: as strings.
        query: Of a database: the SELECT whose rows are read, or ``@file.sql``.
        table: Of a database: the table whose rows are read, in the order of its key.
    """

    format: str | None = None
    delimiter: str | None = None
    quoting: Quoting = "rfc4180"
    encoding: str = "utf-8"
    on_duplicate: OnDuplicate = "error"
    header: tuple[str, ...] | None = None
    pad: bool = False
    extra: str | None = None
    select: Mapping[str, str] | None = None
    rename: Mapping[str, str] | None = None
    max_record: int = 16 << 20
    types: Mapping[str, str] | None = None
    infer: bool = True
    query: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.on_duplicate not in get_args(OnDuplicate):
            known = ", ".join(get_args(OnDuplicate))
            raise ConfigurationError(f"there is no on_duplicate {self.on_duplicate!r}; there is {known}")
        if self.select is not None and self.rename is not None:
            raise ConfigurationError("select says the new names of its columns itself; leave rename out")
        if self.max_record < 1:
            raise ConfigurationError(f"max_record is a number of bytes from 1, not {self.max_record}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """How the output is written.

    Attributes:
        format: ``csv``, ``tsv``, ``ndjson``, ``parquet`` or ``arrow``; None: by the name.
        columns: The columns of CSV, in order; None: those of the results.
        codec: How Parquet is compressed: ``zstd``, ``snappy``, ``lz4``, ``gzip`` or ``none``. None: as
            the input is where a columnar handler passes columns on untouched, all others with ``zstd``.
        part_bytes: Of a folder of Parquet: bytes of a part, about; it ends with the commit after them.
        on_conflict: Of a table: what becomes of a row whose key is there: ``error`` (a dead letter),
            ``ignore`` or ``update``.
        conflict_columns: Of a table: the columns of that key; none: the primary key.
        create_table: Whether a table that is not there is made, for the handler's type of results.
        deadline: Seconds to try again while the database is away.
    """

    format: str | None = None
    columns: tuple[str, ...] | None = None
    codec: str | None = None
    part_bytes: int = 128 << 20
    on_conflict: OnConflict = "error"
    conflict_columns: tuple[str, ...] = ()
    create_table: bool = False
    deadline: float = 300.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.codec is not None and self.codec not in CODECS:
            raise ConfigurationError(
                f"there is no compression {self.codec!r} of Parquet; there is {', '.join(CODECS)}"
            )
        if self.part_bytes < 1:
            raise ConfigurationError(f"part_bytes is a number of bytes from 1, not {self.part_bytes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run goes.

    Attributes:
        workers: Processes; None: one for each CPU; 0: this process.
        batch_size: Rows of a handler call: a number, ``"auto"`` to learn it, None for its ``max_size``; for
            columnar handlers that do not say one, all rows of a chunk.
        ordered: Whether results are written in the order of the rows.
        limit: Rows to read at most; None: all.
        max_failures: Rows that may fail: a number, or a share as ``"1%"``; None: all.
        dead_letter: The file for rows that fail; None: ``OUTPUT.dead.ndjson``;
            for a table, ``TABLE-RUN.dead.ndjson`` in the current folder, RUN being a number of the run.
        overwrite: Whether to begin anew and replace what is there.
        chunk_bytes: Of a chunk at most; None: by what the handler takes. Changes no result.
        commit_seconds: Between commits at most.
    """

    workers: int | None = None
    batch_size: int | str | None = None
    ordered: bool = True
    limit: int | None = None
    max_failures: int | str | None = None
    dead_letter: str | None = None
    overwrite: bool = False
    chunk_bytes: int | None = None
    commit_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.workers is not None and self.workers < 0:
            raise ConfigurationError(f"workers is a number of processes, or 0 for none; not {self.workers}")
        if self.batch_size not in (None, "auto") and not (
            isinstance(self.batch_size, int) and self.batch_size > 0
        ):
            raise ConfigurationError(
                f"batch_size is a number of rows from 1, or 'auto'; not {self.batch_size!r}"
            )
        if self.chunk_bytes is not None and self.chunk_bytes < 1:
            raise ConfigurationError(f"chunk_bytes is a number of bytes from 1, not {self.chunk_bytes}")
        if self.commit_seconds < 0:
            raise ConfigurationError(
                f"commit_seconds is a number of seconds from 0, not {self.commit_seconds}"
            )
        if self.dead_letter == "-":
            raise ConfigurationError("rows that fail are kept in a file; name one with --dead-letter, not -")
        FailureLimit.parse(self.max_failures)
        if self.limit is not None and self.limit < 0:
            raise ConfigurationError(f"limit is a number of rows, not {self.limit}")
