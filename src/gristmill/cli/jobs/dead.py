"""``gristmill jobs dead``."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.console import console
from gristmill.cli.show.dead import dead_table
from gristmill.cli.show.documents import dead_document, print_document
from gristmill.model.queue import DeadGroup
from gristmill.queue.service import Jobs


def show_dead(
    *,
    handler: options.OfHandler = None,
    code: options.OfCode = None,
    job: options.OfJob = None,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the items that failed for good, by handler and code."""

    async def look(jobs: Jobs) -> tuple[Sequence[DeadGroup], float]:
        groups = await jobs.dead(handler=handler, job=job, code=code)
        return groups, await jobs.store.now()

    groups, now = ask(app, store, look)
    if as_json:
        print_document({"dead": dead_document(groups)})
    elif groups:
        console().print(dead_table(groups, now))
    else:
        typer.echo("no dead items", err=True)
