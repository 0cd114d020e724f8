"""``gristmill jobs list``."""

from __future__ import annotations

from typing import Annotated

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.console import console
from gristmill.cli.show.documents import page_document, print_document
from gristmill.cli.show.jobs import jobs_table
from gristmill.model.job import JobPage, JobState
from gristmill.queue.service import Jobs


def list_jobs(
    *,
    handler: options.OfHandler = None,
    state: Annotated[JobState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on where a list that was cut ended.")] = None,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first."""

    async def look(jobs: Jobs) -> tuple[JobPage, float]:
        page = await jobs.list(handler=handler, state=state, cursor=cursor, limit=limit)
        return page, await jobs.store.now()

    page, now = ask(app, store, look)
    if as_json:
        print_document(page_document(page))
        return
    if not page.jobs:
        typer.echo("no jobs", err=True)
        return
    console().print(jobs_table(page.jobs, now))
    if page.cursor is not None:
        typer.echo(f"There are more: --cursor {page.cursor}", err=True)
