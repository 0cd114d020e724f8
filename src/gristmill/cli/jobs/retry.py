"""``gristmill jobs retry``."""

from __future__ import annotations

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.documents import print_document


def retry_job(
    job: options.JobId,
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Let the failed items of a job run again."""
    redriven = ask(app, store, lambda jobs: jobs.retry(job))
    if as_json:
        print_document({"id": job, "redriven": redriven})
    else:
        typer.echo(f"{redriven} items of {job} run again")
