"""How commands end that cannot do what they were asked: a line that says why, and a code."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from gristmill.batching.handler import BatchHandler
from gristmill.cli.target import TargetBroken, load_app, load_handler
from gristmill.errors import (
    ConfigurationError,
    GristmillError,
    NotSupported,
    StoreMisconfigured,
    StoreReadOnly,
    StoreVersion,
    UnknownHandler,
)

if TYPE_CHECKING:
    from gristmill.app import App  # as in target.py

T = TypeVar("T")

FAILED = 1
"""It was understood, and could not be done: no such job, the store is away."""
USAGE = 2
"""The command, the App or the store must be changed first."""
INTERRUPTED = 130
"""Ctrl-C, as shells say it."""

_HOPELESS = (
    ConfigurationError,
    NotSupported,
    StoreMisconfigured,
    StoreReadOnly,
    StoreVersion,
    UnknownHandler,
)


def fail(message: str, code: int = USAGE) -> NoReturn:
    """Say *message* on one line of stderr, and exit with *code*."""
    typer.echo(f"gristmill: error: {message}", err=True)
    sys.exit(code)


def code_of(error: GristmillError) -> int:
    """Return the exit code for *error*."""
    return USAGE if isinstance(error, _HOPELESS) else FAILED


def loaded(target: str) -> App:
    """Return the App that *target* names; exit with what is wrong with it otherwise."""
    return _loaded(target, load_app)


def loaded_handler(target: str) -> BatchHandler[Any, Any]:
    """Return the handler that *target* names; exit with what is wrong with it otherwise."""
    return _loaded(target, load_handler)


def _loaded(target: str, load: Callable[[str], T]) -> T:
    try:
        return load(target)
    except TargetBroken as broken:
        if broken.__cause__ is not None:
            _show_own_frames(broken.__cause__)
        fail(str(broken))
    except ConfigurationError as error:
        fail(str(error))


def _show_own_frames(error: BaseException) -> None:
    """Print the traceback of *error* from the first frame that is the user's."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and (
        trace.tb_frame.f_code.co_filename == load_app.__code__.co_filename
        or "importlib" in trace.tb_frame.f_code.co_filename
    ):
        trace = trace.tb_next
    typer.echo("".join(traceback.format_exception(type(error), error, trace)), err=True, nl=False)
