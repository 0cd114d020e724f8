"""Functions that travel by value, with cloudpickle where it is installed."""

from __future__ import annotations

import importlib
from typing import cast

from gristmill.batching.executors.protocol import Function


def dump(function: Function) -> bytes | None:
    """Return *function* as bytes that ``pickle.loads`` turns back; None if cloudpickle is not installed."""
    try:
        cloudpickle = importlib.import_module("cloudpickle")
    except ImportError:
        return None
    return cast("bytes", cloudpickle.dumps(function, protocol=5))
