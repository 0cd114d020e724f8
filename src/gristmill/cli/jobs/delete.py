"""``gristmill jobs delete``."""

from __future__ import annotations

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.documents import print_document
from gristmill.errors import JobNotFound
from gristmill.queue.service import Jobs


def delete_job(
    job: options.JobId,
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove a job that is final, with its results and dead items."""

    async def delete(jobs: Jobs) -> None:
        if not await jobs.delete(job):
            raise JobNotFound(f"there is no job {job}")

    ask(app, store, delete)
    if as_json:
        print_document({"id": job, "deleted": True})
    else:
        typer.echo(f"{job} is deleted")
