"""``gristmill jobs results``."""

from __future__ import annotations

from typing import Annotated

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.console import console
from gristmill.cli.show.documents import print_document, result_document
from gristmill.cli.show.results import result_line
from gristmill.model.lease import ResultKind
from gristmill.queue.following import follow as follow_results
from gristmill.queue.service import Jobs


def show_results(
    job: options.JobId,
    *,
    status: Annotated[ResultKind | None, typer.Option(help="Only items that ended so.")] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="In the order of the items, up to the first without an outcome.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for those to come, until the job is final.")
    ] = False,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on after the result that had this cursor.")
    ] = None,
    app: options.App = None,
    store: options.Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print NDJSON: one object a line.")] = False,
) -> None:
    """Print the outcomes of a job's items, also while it runs.

    Lines are cut at the width of the screen; --json prints all of each.
    """

    async def read(jobs: Jobs) -> None:
        out = console()
        total = (await jobs.get(job)).counts.total
        find = follow_results if follow else Jobs.results
        cursor = None
        async for item in find(jobs, job, ordered=ordered, after=after, kind=status):
            if as_json:
                print_document(result_document(item))
            else:
                out.print(result_line(item, total, out.width), soft_wrap=True)
                cursor = item.cursor
        if cursor is not None:
            typer.echo(f"What comes later: --after {cursor}", err=True)

    ask(app, store, read)
