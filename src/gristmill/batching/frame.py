"""Which batches the current code runs inside of, so that a handler may call itself."""

from __future__ import annotations

import contextvars
from typing import Generic, TypeVar

B = TypeVar("B")


class Frame(Generic[B]):
    """One running batch, as seen from within its handler.

    A handler that calls itself with all slots busy would wait for its own
    end; such calls go to ``nested`` batchers instead, which have slots without
    limit. The frame travels with the context: to tasks the handler starts, and
    to its worker thread.

    Attributes:
        handler: Identifies the handler that runs.
        parent: The frame around it.
        depth: How often *handler* stands in the chain above, itself included.
        nested: The batcher of calls that the handler makes to itself.
        is_over: Whether the batch has ended; tasks left behind by it call from outside then.
    """

    __slots__ = ("depth", "handler", "is_over", "nested", "parent")

    def __init__(self, handler: object, parent: Frame[B] | None, depth: int) -> None:
        self.handler = handler
        self.parent = parent
        self.depth = depth
        self.nested: B | None = None
        self.is_over = False

    def find(self, handler: object) -> Frame[B] | None:
        """Return the innermost frame of *handler* that still runs."""
        frame: Frame[B] | None = self
        while frame is not None and (frame.is_over or frame.handler is not handler):
            frame = frame.parent
        return frame


current_frame: contextvars.ContextVar[Frame[object] | None] = contextvars.ContextVar(
    "gristmill_frame", default=None
)
