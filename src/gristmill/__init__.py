"""Batching for Python services: write one batch handler; every way in reaches it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gristmill.app import App
    from gristmill.batching.context import BatchContext
    from gristmill.batching.decorator import batch
    from gristmill.batching.executors import Inline, Processes, Ray, Threads
    from gristmill.batching.handler import BatchHandler
    from gristmill.client.batch_client import BatchClient
    from gristmill.client.budget import RetryBudget
    from gristmill.client.client import Client
    from gristmill.client.sync_batch_client import SyncBatchClient
    from gristmill.client.sync_client import SyncClient
    from gristmill.model.linger import Linger
    from gristmill.model.outcome import Failed, Ok, Outcome
    from gristmill.model.retry import Retry
    from gristmill.model.sizing import Adaptive
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
    "SyncBatchClient",
    "SyncClient",
    "Threads",
    "batch",
]

_ROOMS = {
    "Adaptive": "model.sizing",
    "App": "app",
    "BatchClient": "client.batch_client",
    "BatchContext": "batching.context",
    "BatchHandler": "batching.handler",
    "Breaker": "queue.breaker",
    "Client": "client.client",
    "Failed": "model.outcome",
    "Inline": "batching.executors",
    "Linger": "model.linger",
    "Ok": "model.outcome",
    "Outcome": "model.outcome",
    "Processes": "batching.executors",
    "QueueOptions": "queue.options",
    "Ray": "batching.executors",
    "Retry": "model.retry",
    "RetryBudget": "client.budget",
    "Schedule": "queue.schedule",
    "SyncBatchClient": "client.sync_batch_client",
    "SyncClient": "client.sync_client",
    "Threads": "batching.executors",
    "batch": "batching.decorator",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for first: who needs a part loads no more; ``App`` needs an extra."""
    if name == "errors":  # the module, as who handles errors writes it
        return importlib.import_module(f"{__name__}.errors")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the names that are here, and those that will be when they are asked for."""
    return sorted({*globals(), *__all__})
