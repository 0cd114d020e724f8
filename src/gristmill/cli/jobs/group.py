"""The commands of ``gristmill jobs``, in the order its help lists them."""

from __future__ import annotations

from collections.abc import Callable

import typer

from gristmill.cli.jobs.cancel import cancel_job
from gristmill.cli.jobs.dead import show_dead
from gristmill.cli.jobs.delete import delete_job
from gristmill.cli.jobs.enqueue import enqueue_items
from gristmill.cli.jobs.list import list_jobs
from gristmill.cli.jobs.pause import pause_queue, resume_queue
from gristmill.cli.jobs.queues import show_queues
from gristmill.cli.jobs.redrive import redrive_items
from gristmill.cli.jobs.results import show_results
from gristmill.cli.jobs.retry import retry_job
from gristmill.cli.jobs.show import show_job

_COMMANDS: dict[str, Callable[..., None]] = {
    "enqueue": enqueue_items,
    "list": list_jobs,
    "show": show_job,
    "results": show_results,
    "retry": retry_job,
    "cancel": cancel_job,
    "delete": delete_job,
    "queues": show_queues,
    "pause": pause_queue,
    "resume": resume_queue,
    "dead": show_dead,
    "redrive": redrive_items,
}


def jobs_group() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(name="jobs", help="Look at the durable queue, and change it.", no_args_is_help=True)
    for name, command in _COMMANDS.items():
        group.command(name)(command)
    return group
