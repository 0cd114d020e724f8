"""Which processes measure coverage: those that end by themselves, for others save no figures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_WANTED = "COVERAGE_PROCESS_CONFIG"
"""What coverage hands down to the processes that the tests start, and those to theirs."""


@contextlib.contextmanager
def unmeasured() -> Iterator[None]:
    """Have the processes that are started meanwhile measure nothing, which halves their time.

    For those that a signal ends, or that are forked and leave without a farewell: their figures are lost.
    """
    config = os.environ.pop(_WANTED, None)
    try:
        yield
    finally:
        if config is not None:
            os.environ[_WANTED] = config
