"""Handlers that would end the process they run in: that is an error of the rows they were given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class HandlerExit(RuntimeError):
    """A handler called ``sys.exit``, itself or by way of a library."""


def staying(function: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """Return *function*, with ``HandlerExit`` raised where it raises ``SystemExit``."""
    if is_async:

        @functools.wraps(function)
        async def awaited(*args: Any) -> Any:
            try:
                return await function(*args)
            except SystemExit as error:
                raise _told(error) from error

        return awaited

    @functools.wraps(function)
    def called(*args: Any) -> Any:
        try:
            return function(*args)
        except SystemExit as error:
            raise _told(error) from error

    return called


def _told(error: SystemExit) -> HandlerExit:
    return HandlerExit(f"the handler called sys.exit({'' if error.code is None else repr(error.code)})")
