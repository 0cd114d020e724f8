"""Batching for Python services: write one batch handler; every way in reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gristmill.batching.context import BatchContext
from gristmill.batching.decorator import batch
from gristmill.batching.executors import Inline, Processes, Threads
from gristmill.batching.handler import BatchHandler
from gristmill.model.linger import Linger
from gristmill.model.outcome import Failed, Ok, Outcome
from gristmill.model.retry import Retry
from gristmill.model.sizing import Adaptive

if TYPE_CHECKING:
    from gristmill.app import App

__all__ = [
    "Adaptive",
    "App",
    "BatchContext",
    "BatchHandler",
    "Failed",
    "Inline",
    "Linger",
    "Ok",
    "Outcome",
    "Processes",
    "Retry",
    "Threads",
    "batch",
]


def __getattr__(name: str) -> Any:
    """Import ``App`` when it is asked for: it needs the extra ``http``, a handler alone does not."""
    if name == "App":
        from gristmill.app import App  # noqa: PLC0415 - an optional extra

        return App
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
