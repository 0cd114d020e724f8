"""Handlers that would end the process they run in: that is an error of the rows they were given."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from gristmill.errors import EndRun

_PASSING = (EndRun, KeyboardInterrupt, asyncio.CancelledError)
"""What is meant for more than the rows of a batch."""


class HandlerExit(RuntimeError):
    """A handler called ``sys.exit``, or raised another ``BaseException``, itself or by way of a library."""


def staying(function: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """Return *function*, with ``HandlerExit`` raised where what it raises is no ``Exception``.

    Libraries in other languages raise such: a panic of Rust is one. ``EndRun``, Ctrl-C and cancels pass.
    """
    if is_async:

        @functools.wraps(function)
        async def awaited(*args: Any) -> Any:
            try:
                return await function(*args)
            except (Exception, GeneratorExit, *_PASSING):
                raise
            except BaseException as error:
                raise exit_of(error) from error

        return awaited

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        try:
            return function(*args)
        except (Exception, *_PASSING):
            raise
        except BaseException as error:
            raise exit_of(error) from error

    return called


def exit_of(error: BaseException) -> HandlerExit:
    """Return *error*, which is no ``Exception``, as one that says what the handler did."""
    if isinstance(error, SystemExit):
        return HandlerExit(f"the handler called sys.exit({'' if error.code is None else repr(error.code)})")
    text = str(error)
    return HandlerExit(f"the handler raised {type(error).__name__}{': ' if text else ''}{text}")
