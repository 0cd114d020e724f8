"""Why a batch left the buffer."""

from __future__ import annotations

from enum import StrEnum


class FlushReason(StrEnum):
    """Why a batch was formed when it was. The value is the metric label."""

    SIZE = "size"  # max_size items were there
    WEIGHT = "weight"  # the next item would have passed max_weight
    TIME = "time"  # the linger ran out
    IDLE = "idle"  # a slot was free, and there was nothing to wait for
    DRAIN = "drain"  # closing, or flush() was asked
    NESTED = "nested"  # called from within the handler itself
    RETRY = "retry"  # failed items, tried again
    QUEUE = "queue"  # claimed from the durable queue, as one batch
