"""``gristmill jobs queues``."""

from __future__ import annotations

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.console import console
from gristmill.cli.show.documents import print_document, queues_document
from gristmill.cli.show.queues import queues_table


def show_queues(
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how the queues stand: what is due, waits, runs and is dead."""
    queues = ask(app, store, lambda jobs: jobs.queues())
    if as_json:
        print_document({"queues": queues_document(queues)})
    elif queues:
        console().print(queues_table(queues))
    else:
        typer.echo("no queues", err=True)
