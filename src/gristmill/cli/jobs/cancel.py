"""``gristmill jobs cancel``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.documents import job_document, print_document
from gristmill.errors import JobNotFound
from gristmill.model.job import Job
from gristmill.queue.service import Jobs


def cancel_job(
    job: options.JobId,
    *,
    item: Annotated[
        list[int] | None,
        typer.Option(help="Only the item at this place, from 0; may be given several times.", min=0),
    ] = None,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Cancel what of a job is not running; batches that run come to their end."""
    items: Sequence[int] | None = item or None

    async def cancel(jobs: Jobs) -> Job:
        if not await jobs.cancel(job, items=items):
            raise JobNotFound(f"there is no job {job}")
        return await jobs.get(job)

    found = ask(app, store, cancel)
    if as_json:
        print_document(job_document(found))
    else:
        counts = found.counts
        typer.echo(f"{job} is {found.state}: {counts.cancelled} of {counts.total} items are cancelled")
