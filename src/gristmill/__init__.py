"""Batching for Python services: write one batch handler; every way in reaches it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gristmill.batching.context import BatchContext
from gristmill.batching.decorator import batch
from gristmill.batching.executors import Inline, Processes, Ray, Threads
from gristmill.batching.handler import BatchHandler
from gristmill.model.linger import Linger
from gristmill.model.outcome import Failed, Ok, Outcome
from gristmill.model.retry import Retry
from gristmill.model.sizing import Adaptive

if TYPE_CHECKING:
    from gristmill.app import App
    from gristmill.client.batch_client import BatchClient
    from gristmill.client.budget import RetryBudget
    from gristmill.client.client import Client
    from gristmill.client.sync_client import SyncClient
    from gristmill.queue.breaker import Breaker
    from gristmill.queue.options import QueueOptions
    from gristmill.queue.schedule import Schedule

__all__ = [
    "Adaptive",
    "App",
    "BatchClient",
    "BatchContext",
    "BatchHandler",
    "Breaker",
    "Client",
    "Failed",
    "Inline",
    "Linger",
    "Ok",
    "Outcome",
    "Processes",
    "QueueOptions",
    "Ray",
    "Retry",
    "RetryBudget",
    "Schedule",
    "SyncClient",
    "Threads",
    "batch",
]


_LATER = {
    "App": "gristmill.app",
    "BatchClient": "gristmill.client.batch_client",
    "Breaker": "gristmill.queue.breaker",
    "Client": "gristmill.client.client",
    "RetryBudget": "gristmill.client.budget",
    "SyncClient": "gristmill.client.sync_client",
    "QueueOptions": "gristmill.queue.options",
    "Schedule": "gristmill.queue.schedule",
}


def __getattr__(name: str) -> Any:
    """Import what a handler alone does not need when it is asked for; ``App`` needs the extra ``http``."""
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
