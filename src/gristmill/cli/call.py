"""``gristmill call``: push files of any size through a handler of a server."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from gristmill.cli.exits import FAILED, fail
from gristmill.cli.logs import LogLevel, log_to_stderr
from gristmill.cli.run import TRY_AGAIN, run_to_end, stop_for
from gristmill.cli.run_options import parse_batch_size, parse_columns, parse_headers
from gristmill.cli.show.progress import ProgressKind
from gristmill.client.addresses import checked_headers, without_login
from gristmill.client.row_handler import Place, RowHandler, ServerAway, ServerRefuses, described
from gristmill.errors import BatchError, GristmillError
from gristmill.model.retry import Retry
from gristmill.streams.endpoints import expanded
from gristmill.streams.formats.naming import Format, format_of
from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.stopping import Stopping

_TEXT = (Format.CSV, Format.TSV)
_FIRST = Retry(attempts=4, base=0.2, cap=2.0)
_SIZE = 500


def call(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Of the server: http://host:8000, or with the prefix.")
    ],
    handler: Annotated[str, typer.Argument(metavar="HANDLER", help="The name of a handler there.")],
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Files, 'patterns', or - for stdin.")
    ],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The file to write; by default -, which is stdout.")
    ] = "-",
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of every request."),
    ] = None,
    input_format: Annotated[str | None, typer.Option(help="csv, tsv, ndjson, dead-letter.")] = None,
    output_format: Annotated[str | None, typer.Option(help="csv, tsv, ndjson.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="The columns of a CSV output, in order.")
    ] = None,
    dead_letter: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where rows that fail go; OUTPUT.dead.ndjson by default."),
    ] = None,
    max_failures: Annotated[
        str | None, typer.Option(metavar="N|P%", help="Stop when more rows fail.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, and replace what is there.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with what an earlier run left. So it is anyway; this refuses what cannot be.",
        ),
    ] = False,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Rows of a request; 500, or the server's limit.")
    ] = None,
    concurrency: Annotated[int, typer.Option(help="Requests in flight at once.", min=1)] = 4,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a request is tried before the run stops.", min=1),
    ] = 300.0,
    limit: Annotated[int | None, typer.Option(help="Read so many rows and no more.", min=0)] = None,
    progress: Annotated[
        ProgressKind, typer.Option(help="How progress is shown, on stderr.")
    ] = ProgressKind.AUTO,
    log_level: Annotated[LogLevel, typer.Option(help="Log this and worse.")] = LogLevel.WARNING,
) -> None:
    """Push rows of any number through a handler of a server, in bounded memory.

    As `gristmill run`, with the handler elsewhere: it may be killed at any instant, and the same command goes
    on where it was. While the server is away or full it waits. Rows may be sent again after that. Rows
    that the server fails are in the dead-letter file.

    Exit codes: as those of `gristmill run`; 75 also when the server was away or full for too long.
    """
    log_to_stderr(log_level)
    if resume and (overwrite or output == "-"):
        fail("--resume needs a file to go on with: give -o FILE, and leave --overwrite out")
    try:
        url, login = without_login(url)
        headers = {**login, **checked_headers(parse_headers(header))}
        told = asyncio.run(described(url, handler, headers, _FIRST))
        place = Place(
            url=url,
            handler=handler,
            headers=headers,
            max_size=min(_SIZE, told.limits.batch_items),
            concurrency=concurrency,
            patience=patience,
            description=told,
            is_text=_is_text(inputs, input_format),
        )
        pipeline = Pipeline(
            inputs,
            RowHandler(place),
            output,
            read=ReadOptions(format=input_format),
            write=WriteOptions(format=output_format, columns=parse_columns(columns)),
            options=RunOptions(
                workers=1,
                batch_size=parse_batch_size(batch_size),
                limit=limit,
                max_failures=max_failures,
                dead_letter=dead_letter,
                overwrite=overwrite,
            ),
        )
        sys.exit(run_to_end(pipeline, None, progress, Stopping()))
    except ServerRefuses as refuses:
        fail(f"{refuses}; what was committed is safe", FAILED)
    except ServerAway as away:
        fail(f"{away}; what was committed is safe: run the same command to go on", TRY_AGAIN)
    except BatchError as error:
        fail(str(error), TRY_AGAIN if error.retryable else FAILED)
    except GristmillError as error:
        stop_for(error, output=output)


def _is_text(inputs: list[str], form: str | None) -> bool:
    """Tell whether the cells of the inputs are text, whatever the server wants."""
    if form is not None:
        return form in _TEXT
    return any(format_of(path, "--input-format") in _TEXT for path in expanded(inputs) if path != "-")
