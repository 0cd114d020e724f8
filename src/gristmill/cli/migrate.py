"""``gristmill migrate``: bring a store's schema up to date, before a new version is rolled out."""

from __future__ import annotations

from typing import Annotated

import typer

from gristmill.cli.jobs.asking import ask
from gristmill.cli.logs import LogLevel, log_to_stderr
from gristmill.queue.service import Jobs


def migrate(
    target: Annotated[
        str, typer.Argument(metavar="TARGET|URL", help="An App, as module:app, or the URL of its store.")
    ],
) -> None:
    """Make a store ready for this version: make it if it is not there, and bring its schema up to date.

    Safe while others use it, and when several do it at once. Exits with 1 if the store cannot be reached,
    and with 2 if a newer version wrote it, or it would lose jobs as it is set up.
    """
    log_to_stderr(LogLevel.INFO)

    async def opened(jobs: Jobs) -> str:
        is_new = jobs.is_new
        await jobs.open()
        return f"{jobs.url} is {'made' if is_new else 'up to date'}; durability: {jobs.store.durability}"

    app, url = (None, target) if "://" in target else (target, None)
    typer.echo(ask(app, url, opened, may_make=True))
