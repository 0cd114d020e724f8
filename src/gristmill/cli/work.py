"""``gristmill work``: work the durable queues of an App, and serve nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from gristmill.app import App
from gristmill.cli.exits import code_of, fail, loaded
from gristmill.cli.logs import LogLevel, log_to_stderr
from gristmill.cli.loops import run
from gristmill.cli.shift import Shift
from gristmill.cli.stopping import StopSignals
from gristmill.cli.supervising import Supervisor
from gristmill.errors import ConfigurationError, GristmillError
from gristmill.queue.worker import Worker

_CLOSING = 5.0
"""Seconds that handlers get to close once no batch runs."""


def work(
    target: Annotated[
        str,
        typer.Argument(help="module:app or path/file.py:app; an App or a batch handler. Without :name, app."),
    ],
    *,
    queues: Annotated[
        str | None, typer.Option(metavar="A,B", help="Work the queues of these handlers; all by default.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of this worker, in the log and the store; made up by default.")
    ] = None,
    grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="What batches get to end after a signal.", min=0)
    ] = 25.0,
    processes: Annotated[
        int, typer.Option(help="Worker processes; one that dies is started again.", min=1)
    ] = 1,
    log_level: Annotated[LogLevel, typer.Option(help="Log this and worse.")] = LogLevel.INFO,
    watch_stdin: Annotated[bool, typer.Option("--watch-stdin", hidden=True)] = False,
) -> None:
    """Work the durable queues until SIGTERM or SIGINT; then let batches end, and give back the rest.

    A second signal stops the batches now. Their items run elsewhere, and nothing is counted against them.
    """
    app = loaded(target)
    log_to_stderr(log_level)
    chosen = _chosen(app, queues)
    if processes > 1:
        options = ["--queues", ",".join(chosen), "--grace", str(grace), "--log-level", log_level.value]
        commands = [
            ["work", target, *options, *_named(name, number), "--watch-stdin"] for number in range(processes)
        ]
        sys.exit(asyncio.run(_supervise(commands)))
    try:
        sys.exit(run(_work(app, chosen, name=name, grace=grace, watch_stdin=watch_stdin)))
    except GristmillError as error:
        fail(str(error), code_of(error))


def _chosen(app: App, queues: str | None) -> list[str]:
    """Return the handlers to work; exit if there is none, or one is unknown."""
    try:
        url = app.jobs.url
    except ConfigurationError as error:
        fail(str(error))
    known = [handler.name for handler in app.handlers]
    wanted = known if queues is None else [each.strip() for each in queues.split(",") if each.strip()]
    unknown = [each for each in wanted if each not in known]
    if unknown:
        fail(f"there is no handler {unknown[0]!r}; there are: {', '.join(sorted(known)) or 'none'}")
    if not wanted:
        fail("--queues names no handler" if known else "this App has no handlers: there is no queue to work")
    if url.startswith("memory:"):
        typer.echo(f"gristmill: {url} is in this process: what others enqueue is not here", err=True)
    return list(dict.fromkeys(wanted))


def _named(name: str | None, number: int) -> list[str]:
    return [] if name is None else ["--name", f"{name}-{number + 1}"]


async def _supervise(commands: list[list[str]]) -> int:
    signals = StopSignals()
    with signals.listening():
        return await Supervisor(commands, signals).supervise()


async def _work(app: App, queues: list[str], *, name: str | None, grace: float, watch_stdin: bool) -> int:
    def say_ready(worker: Worker) -> None:
        shown = ", ".join(queues)
        typer.echo(f"gristmill {version('gristmill')} works {shown} in {app.jobs.url} as {worker.name}")

    signals = StopSignals()
    with signals.listening():
        if watch_stdin:
            _stop_at_the_end_of_stdin(signals)
        code = await Shift(app.jobs, queues, name=name, grace=grace, signals=signals).work(say_ready)
        await asyncio.gather(*(handler.aclose(timeout=_CLOSING) for handler in app.handlers))
    return code


def _stop_at_the_end_of_stdin(signals: StopSignals) -> None:
    """Stop when the supervisor is gone, however it went: the pipe it holds closes then."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(stdin, 1024):
            loop.remove_reader(stdin)
            signals.ask()

    loop.add_reader(stdin, look)
