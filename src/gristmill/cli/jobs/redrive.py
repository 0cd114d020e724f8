"""``gristmill jobs redrive``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from gristmill.cli.exits import FAILED, fail
from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.documents import print_document
from gristmill.cli.show.times import instant
from gristmill.queue.service import Jobs


def redrive_items(
    *,
    handler: options.OfHandler = None,
    code: options.OfCode = None,
    job: options.OfJob = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only those that died before: 2026-01-31T12:00, or 2h ago."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Let dead items run again: all, or those that match every option."""

    async def redrive(jobs: Jobs) -> int:
        until = None if before is None else instant(before, time.time())
        if not yes:
            groups = await jobs.dead(handler=handler, job=job, code=code, before=until)
            _confirm(sum(group.items for group in groups))
        return await jobs.redrive(handler=handler, job=job, code=code, before=until)

    redriven = ask(app, store, redrive)
    if as_json:
        print_document({"redriven": redriven})
    else:
        typer.echo(f"{redriven} dead items run again")


def _confirm(count: int) -> None:
    """Ask whether *count* items are meant; exit if they are not."""
    try:
        if not count or typer.confirm(f"Let {count} dead items run again?", err=True):
            return
    except typer.Abort:  # nobody there to answer, or Ctrl-C
        typer.echo(err=True)
    fail("nothing was redriven; --yes does it without asking", FAILED)
