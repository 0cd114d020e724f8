"""What may be said of a handler that is elsewhere."""

from __future__ import annotations

from typing import TypedDict


class HandlerOptions(TypedDict, total=False):
    """Options of ``Client.handler``.

    Attributes:
        max_size: Items of a request at most, 1000 by default; the server's own limit holds, too.
        max_wait: Seconds that a request lingers for more items; 0 by default, which waits for nobody.
        concurrency: Requests in flight at once; 4 by default.
        max_pending: Single calls that may wait for their answers, 10,000 by default; one more raises
            ``QueueFull``, while ``many`` and ``map`` wait.
        idempotent: Whether the handler may see an item twice. Then requests whose answer was lost, and items
            that the server gave up on half-way, are repeated, too.
        timeout: Seconds from a call to its answer, retries included; that of the client by default.
    """

    max_size: int
    max_wait: float
    concurrency: int
    max_pending: int
    idempotent: bool
    timeout: float | None
