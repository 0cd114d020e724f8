"""``gristmill jobs pause`` and ``resume``."""

from __future__ import annotations

import typer

from gristmill.cli.jobs import options
from gristmill.cli.jobs.asking import ask
from gristmill.cli.show.documents import print_document


def pause_queue(
    handler: options.HandlerName,
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Claim nothing from a handler's queue, on any machine; what runs comes to its end."""
    ask(app, store, lambda jobs: jobs.pause(handler), may_make=True)
    _say(handler, is_paused=True, as_json=as_json)


def resume_queue(
    handler: options.HandlerName,
    *,
    app: options.App = None,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Claim from a handler's queue again."""
    ask(app, store, lambda jobs: jobs.resume(handler))
    _say(handler, is_paused=False, as_json=as_json)


def _say(handler: str, *, is_paused: bool, as_json: bool) -> None:
    if as_json:
        print_document({"handler": handler, "paused": is_paused})
    else:
        typer.echo(f"the queue of {handler} is {'paused' if is_paused else 'worked again'}")
