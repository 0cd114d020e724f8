"""``gristmill run``: push files of any size through a batch handler."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Annotated, NoReturn

import typer

from gristmill.cli.exits import fail, loaded_handler
from gristmill.cli.logs import LogLevel, log_to_stderr
from gristmill.cli.run_options import parse_batch_size, parse_columns, parse_rename, parse_select, parse_types
from gristmill.cli.show.console import console
from gristmill.cli.show.dry_run import show_plan
from gristmill.cli.show.progress import ProgressKind, progress_view
from gristmill.cli.show.run_report import show_report
from gristmill.cli.stopping import ECHO
from gristmill.errors import (
    ConfigurationError,
    EndRun,
    GristmillError,
    SinkError,
    SourceError,
    StreamError,
    TooManyFailures,
)
from gristmill.streams.engines.protocol import Engine
from gristmill.streams.engines.ray import RayEngine
from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.sinks.unkept import UnkeptOutput, unkept
from gristmill.streams.stopping import Interrupted, Stopping

SOME_FAILED = 3
"""It is done, and some rows are in the dead-letter file."""
BAD_DATA = 65
"""An input is not what it should be (``EX_DATAERR``)."""
NO_OUTPUT = 74
"""The output could not be written (``EX_IOERR``)."""
TRY_AGAIN = 75
"""It stopped, and goes on when it is run again (``EX_TEMPFAIL``)."""


class EngineKind(StrEnum):
    """Where chunks run."""

    LOCAL = "local"
    RAY = "ray"


_SAFE = "what was committed is safe: run the same command to go on"
_Panel = "How rows are read"
_Out = "How results are written"


def run(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:HANDLER",
            help="A batch handler: module:handler, path/file.py:handler, or module:app.name of an App.",
        ),
    ],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, 'patterns', or - for stdin.")
    ],
    *,
    output: Annotated[str, typer.Option("--output", "-o", help="The file to write, or - for stdout.")],
    input_format: Annotated[
        str | None,
        typer.Option(help="csv, tsv, ndjson, parquet, arrow, dead-letter.", rich_help_panel=_Panel),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of CSV.", rich_help_panel=_Panel)] = None,
    quoting: Annotated[
        str, typer.Option(help="Of CSV: rfc4180, lenient or none.", rich_help_panel=_Panel)
    ] = "rfc4180",
    encoding: Annotated[str, typer.Option(help="Of CSV.", rich_help_panel=_Panel)] = "utf-8",
    header: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="The columns of CSV files that have no header.", rich_help_panel=_Panel
        ),
    ] = None,
    on_duplicate: Annotated[
        str, typer.Option(help="Columns of one name: error, rename or first.", rich_help_panel=_Panel)
    ] = "error",
    pad: Annotated[
        bool, typer.Option("--pad", help="Short CSV rows end in empty cells.", rich_help_panel=_Panel)
    ] = False,
    extra: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Where surplus CSV cells go.", rich_help_panel=_Panel)
    ] = None,
    select: Annotated[
        str | None, typer.Option(metavar="A,B", help="Read only these columns.", rich_help_panel=_Panel)
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Call a column otherwise.", rich_help_panel=_Panel),
    ] = None,
    types: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN=TYPE,...",
            help="Types of CSV columns, for columnar handlers.",
            rich_help_panel=_Panel,
        ),
    ] = None,
    infer: Annotated[
        bool,
        typer.Option(
            "--infer/--no-infer",
            help="Give columnar handlers columns of text in the types samples have.",
            rich_help_panel=_Panel,
        ),
    ] = True,
    query: Annotated[
        str | None,
        typer.Option(metavar="SELECT|@FILE", help="What to read of a database.", rich_help_panel=_Panel),
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="The table to read of a database.", rich_help_panel=_Panel)
    ] = None,
    max_record: Annotated[
        int, typer.Option(help="Bytes of one row at most.", min=1, rich_help_panel=_Panel)
    ] = 16 << 20,
    limit: Annotated[
        int | None, typer.Option(help="Read so many rows and no more.", min=0, rich_help_panel=_Panel)
    ] = None,
    output_format: Annotated[
        str | None, typer.Option(help="csv, tsv, ndjson, parquet, arrow.", rich_help_panel=_Out)
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="The columns of a CSV output, in order.", rich_help_panel=_Out),
    ] = None,
    codec: Annotated[
        str | None,
        typer.Option(
            help="Of Parquet: zstd, snappy, lz4, gzip or none. By default zstd; columns that are copied from "
            "Parquet keep theirs.",
            rich_help_panel=_Out,
        ),
    ] = None,
    part_bytes: Annotated[
        int, typer.Option(help="Bytes of a part of a folder of Parquet, about.", min=1, rich_help_panel=_Out)
    ] = 128 << 20,
    on_conflict: Annotated[
        str,
        typer.Option(
            help="A row whose key is in the table: error (it fails), ignore or update.", rich_help_panel=_Out
        ),
    ] = "error",
    conflict_columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="The key; the primary key by default.", rich_help_panel=_Out),
    ] = None,
    create_table: Annotated[
        bool,
        typer.Option("--create-table", help="Make a table that is not there.", rich_help_panel=_Out),
    ] = False,
    dead_letter: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where rows that fail go; OUTPUT.dead.ndjson by default.",
            rich_help_panel=_Out,
        ),
    ] = None,
    max_failures: Annotated[
        str | None, typer.Option(metavar="N|P%", help="Stop when more rows fail.", rich_help_panel=_Out)
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, and replace what is there.", rich_help_panel=_Out)
    ] = False,
    batch_size: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help="Rows of a handler call; the handler's max_size by default."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; one for each CPU by default; 0: this one.", min=0)
    ] = None,
    engine: Annotated[
        EngineKind, typer.Option(help="Where chunks run: processes of this machine, or Ray.")
    ] = EngineKind.LOCAL,
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster; one on this machine by default.")
    ] = None,
    ordered: Annotated[
        bool,
        typer.Option(
            "--ordered/--unordered", help="Write results in the order of the rows, or as they come."
        ),
    ] = True,
    chunk_bytes: Annotated[
        int | None, typer.Option(help="Bytes of a chunk at most: the unit of retry and commit.", min=1)
    ] = None,
    commit_seconds: Annotated[float, typer.Option(help="Between commits at most.", min=0)] = 1.0,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="What chunks under way get to end after a signal.", min=0)
    ] = 20.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be read and written; run and write nothing.")
    ] = False,
    progress: Annotated[
        ProgressKind, typer.Option(help="How progress is shown, on stderr.")
    ] = ProgressKind.AUTO,
    log_level: Annotated[LogLevel, typer.Option(help="Log this and worse.")] = LogLevel.WARNING,
) -> None:
    """Push rows of any number through a batch handler, in bounded memory, on all cores.

    It may be killed at any instant: the same command goes on where it was, and the output is as if nothing
    had happened. Rows that fail are in the dead-letter file, with their reason and place.

    Exit codes: 0 done; 3 done, some rows failed; 65 an input is no such data; 74 the output cannot be
    written; 75 stopped, run it again; 130 and 143 stopped by a signal, run it again.
    """
    log_to_stderr(log_level)
    handler = loaded_handler(target)
    try:
        pipeline = Pipeline(
            inputs,
            handler,
            output,
            read=ReadOptions(
                format=input_format,
                delimiter=_tab(delimiter),
                quoting=quoting,  # type: ignore[arg-type]  # checked by the dialect
                encoding=encoding,
                on_duplicate=on_duplicate,  # type: ignore[arg-type]  # checked with the header
                header=parse_columns(header),
                pad=pad,
                extra=extra,
                select=parse_select(select, parse_rename(rename)),
                rename=parse_rename(rename) if select is None else None,
                max_record=max_record,
                types=parse_types(types),
                infer=infer,
                query=query,
                table=table,
            ),
            write=WriteOptions(
                format=output_format,
                columns=parse_columns(columns),
                codec=codec,
                part_bytes=part_bytes,
                on_conflict=on_conflict,  # type: ignore[arg-type]  # checked with the table
                conflict_columns=parse_columns(conflict_columns) or (),
                create_table=create_table,
            ),
            options=RunOptions(
                workers=workers,
                batch_size=parse_batch_size(batch_size),
                ordered=ordered,
                limit=limit,
                max_failures=max_failures,
                dead_letter=dead_letter,
                overwrite=overwrite,
                chunk_bytes=chunk_bytes,
                commit_seconds=commit_seconds,
            ),
        )
        if dry_run:
            show_plan(console(), pipeline)
            return
        sys.exit(run_to_end(pipeline, _engine(engine, address, workers), progress, Stopping(grace=grace)))
    except (GristmillError, EndRun) as error:
        stop_for(error, output=output)


def stop_for(error: GristmillError | EndRun, *, output: str) -> NoReturn:
    """Say why a run into *output* had to stop, and exit with the code for it."""
    partly = f"what is on {where} is not all of it" if (where := unkept(output)) else ""
    if isinstance(error, TooManyFailures):
        again = "what was done is safe: run again with another --max-failures to go on"
        fail(f"{error}; {partly or again}", TRY_AGAIN)
    if isinstance(error, SourceError):
        fail(str(error), BAD_DATA)
    if isinstance(error, StreamError | EndRun):
        code = NO_OUTPUT if isinstance(error, SinkError) else TRY_AGAIN
        fail(f"{error}; {partly or _SAFE}", code)
    fail(str(error))


def run_to_end(pipeline: Pipeline, engine: Engine | None, progress: ProgressKind, stopping: Stopping) -> int:
    """Run *pipeline*, show how it goes and what became of it, and return the exit code."""
    shown = console(err=True)
    began = time.monotonic()
    view = progress_view(progress, shown)
    with _listening(stopping) as signals:
        try:
            report = pipeline.run(engine, watch=view.look, stopping=stopping)
            view.end(report)
        except Interrupted:
            shown.print(_goes_on(pipeline))
            return 128 + signals[-1]
        finally:
            view.close()
    if progress is not ProgressKind.JSON:
        if report.was_done:
            shown.print(f"{pipeline.sink.name} is done already; use --overwrite to make it anew")
        show_report(
            shown,
            report,
            seconds=time.monotonic() - began,
            output=pipeline.sink.name,
            dead=pipeline.dead_letter_path,
        )
    if not report.is_done:
        shown.print(_goes_on(pipeline))
        return 128 + signals[-1] if signals else TRY_AGAIN
    return SOME_FAILED if report.counts.failed else 0


def _goes_on(pipeline: Pipeline) -> str:
    if isinstance(pipeline.sink, UnkeptOutput):
        return f"stopped; what is on {pipeline.sink.name} is not all of it"
    return f"stopped; {_SAFE}"


@contextmanager
def _listening(stopping: Stopping) -> Iterator[list[int]]:
    """Have SIGINT and SIGTERM ask to stop, and interrupt what may wait for ever; yield those that came."""
    came: list[int] = []
    at = -math.inf

    def come(number: int, _frame: FrameType | None) -> None:
        nonlocal at
        now = time.monotonic()
        if now - at < ECHO:
            return
        at = now
        came.append(number)
        stopping.ask()
        if stopping.is_reading or stopping.insisted:
            raise Interrupted

    former = {number: signal.signal(number, come) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in former.items():
            # Once asked to stop it ends by itself, with its own exit code.
            signal.signal(number, signal.SIG_IGN if came else handler)


def _engine(kind: EngineKind, address: str | None, workers: int | None) -> Engine | None:
    """Return the engine that was asked for; None for the pipeline's own."""
    if kind is EngineKind.LOCAL:
        if address is not None:
            raise ConfigurationError("--address is that of a Ray cluster: add --engine ray")
        return None
    return RayEngine(address, workers)


def _tab(delimiter: str | None) -> str | None:
    return "\t" if delimiter in ("\\t", "tab") else delimiter
