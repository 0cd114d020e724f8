"""Ask a store something: open it, run one coroutine, close it, and turn what went wrong into an exit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from gristmill.cli.exits import FAILED, INTERRUPTED, code_of, fail, loaded
from gristmill.errors import ConfigurationError, GristmillError
from gristmill.queue.service import Jobs

T = TypeVar("T")


def ask(
    app: str | None, store: str | None, work: Callable[[Jobs], Awaitable[T]], *, may_make: bool = False
) -> T:
    """Return what *work* returns for the jobs of *app*, or those in *store*.

    Args:
        app: The target.
        store: The store's URL; it comes first.
        work: Asks.
        may_make: Whether an SQLite file is made where there is none.
    """
    try:
        jobs = _jobs_of(app, store)
        if jobs.is_new and not may_make:
            fail(f"{jobs.url} does not exist; the first job makes it", FAILED)
        return asyncio.run(_asked(jobs, work))
    except GristmillError as error:
        fail(str(error), code_of(error))
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _jobs_of(app: str | None, store: str | None) -> Jobs:
    if store is not None:
        return Jobs((), store)
    if app is None:
        raise ConfigurationError(
            "which jobs? name the App, --app module:app (or GRISTMILL_APP=module:app), or --store URL"
        )
    return loaded(app).jobs


async def _asked(jobs: Jobs, work: Callable[[Jobs], Awaitable[T]]) -> T:
    try:
        return await work(jobs)
    finally:
        await jobs.stop()
