"""Files and tables larger than memory: read in chunks, run in batches, written and committed exactly once."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions
    from gristmill.streams.pipeline import Pipeline
    from gristmill.streams.report import Report
    from gristmill.streams.stopping import Stopping

__all__ = ["Pipeline", "ReadOptions", "Report", "RunOptions", "Stopping", "WriteOptions"]

_ROOMS = {
    "Pipeline": "pipeline",
    "ReadOptions": "options",
    "Report": "report",
    "RunOptions": "options",
    "Stopping": "stopping",
    "WriteOptions": "options",
}


def __getattr__(name: str) -> Any:
    """Import what a worker does not need when it is asked for: workers start the sooner."""
    if name in _ROOMS:
        return getattr(importlib.import_module(f"gristmill.streams.{_ROOMS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
