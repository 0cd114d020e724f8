"""``gristmill jobs show``."""

from __future__ import annotations

from collections.abc import Sequence

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.console import console
from gristmill.cli.show.documents import dead_document, job_document, print_document
from gristmill.cli.show.job import job_card
from gristmill.model.job import Job
from gristmill.model.queue import DeadGroup
from gristmill.queue.service import Jobs


def show_job(
    job: options.JobId,
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Show how far a job has come, and what of it is dead."""

    async def look(jobs: Jobs) -> tuple[Job, Sequence[DeadGroup], float]:
        found = await jobs.get(job)
        dead = await jobs.dead(job=job) if found.counts.failed else ()
        return found, dead, await jobs.store.now()

    found, dead, now = ask(app, store, look)
    if as_json:
        print_document({**job_document(found), "dead": dead_document(dead)})
    else:
        console().print(job_card(found, dead, now))
