"""``gristmill jobs enqueue``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, BinaryIO

import typer

from gristmill.cli.exits import fail
from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.jobs.lines import ItemLines, put_aside
from gristmill.cli.show.documents import print_document
from gristmill.cli.show.times import duration, instant
from gristmill.errors import ConfigurationError, InvalidItem, UniqueConflict
from gristmill.model.job import DEFAULT_PRIORITY, LATEST, URGENT
from gristmill.queue.job_ref import JobRef
from gristmill.queue.service import Jobs


def enqueue_items(
    handler: options.HandlerName,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="NDJSON, one item a line; - is standard input.")
    ],
    *,
    priority: Annotated[
        int, typer.Option(help="0 is urgent; each step is worth a minute of waiting.", min=URGENT, max=LATEST)
    ] = DEFAULT_PRIORITY,
    delay: Annotated[
        str, typer.Option(metavar="DURATION", help="Until it is due: seconds, or 90s, 30m, 2h, 7d.")
    ] = "0",
    run_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it is due instead: 2026-01-31T12:00, local time.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="What has the same key runs one after another, in order.")
    ] = None,
    unique: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="While a job of this key is not final, the same FILE is answered with it, another refused.",
        ),
    ] = None,
    app: options.App = None,
    as_json: options.AsJson = False,
) -> None:
    """Store the items of a file as one job; all of them, or none if one is wrong."""
    wait, due = _due(delay, run_at)
    with _opened(file) as lines, ExitStack() as stack:

        async def enqueue(jobs: Jobs) -> tuple[JobRef, int]:
            if jobs.is_brief:
                raise ConfigurationError(f"{jobs.url} is in this process: the job would be gone with it")
            body: IO[bytes] = lines
            fingerprint: str | None = None
            if unique is not None:
                body, fingerprint = stack.enter_context(put_aside(lines))
            items = ItemLines(body)
            try:
                ref = await jobs.enqueue(
                    handler,
                    items,
                    priority=priority,
                    delay=wait,
                    run_at=due,
                    key=key,
                    unique=unique,
                    fingerprint=fingerprint,
                )
            except InvalidItem as error:
                raise InvalidItem(
                    f"line {items.line_of(error.index)}: {error}; nothing was stored", index=error.index
                ) from error
            except UniqueConflict as error:
                raise UniqueConflict(f"{error}; nothing was stored", job=error.job) from error
            return ref, items.items

        ref, count = ask(app, None, enqueue, may_make=True)
    if as_json:
        print_document({"id": ref.id, "created": ref.created})
    elif ref.created:
        typer.echo(f"{ref.id} has {count} items for {handler}")
    else:
        typer.echo(f"{ref.id} holds the key {unique!r} already; nothing was stored")


def _due(delay: str, run_at: str | None) -> tuple[float, float | None]:
    try:
        wait = duration(delay)
        due = None if run_at is None else instant(run_at, time.time())
    except ConfigurationError as error:
        fail(str(error))
    if due is not None and wait:
        fail("--delay is not given beside --run-at")
    if run_at is not None and run_at[-1:] in set("smhd"):
        fail(f"--run-at is a time, not {run_at!r}: a duration from now is --delay")
    return wait, due


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return typer.get_binary_stream("stdin")
    try:
        return Path(file).open("rb")
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror or error}")
