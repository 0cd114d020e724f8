"""Which batches the current code runs inside of, so that handlers may call themselves and each other."""

from __future__ import annotations

import contextvars
from typing import Any

from gristmill.batching.batch import Batch
from gristmill.errors import ReentrantBatch

MAX_DEPTH = 32  # a handler inside itself inside itself ...: deeper is a mistake, not a plan


class Frame:
    """One running batch, as seen from within its handler.

    A handler that calls itself with all slots busy would wait for its own
    end, also when it does so through another handler; such calls go to
    ``nested`` batchers instead, which have slots without limit. The frame
    travels with the context: to tasks the handler starts, and to its thread.

    Attributes:
        batch: What runs; None once it has ended, and where its caller runs it, and is cancelled with it.
        handler: Identifies the handler that runs.
        callers: The frames from which its batcher is called; they wait for
            what runs here, so their slots count as held by it. The batcher's
            own set: calls that come while the batch runs count too.
        depth: How often *handler* stands in the chain, itself included.
        nested: The batcher of calls that the handler makes to itself.
        is_over: Whether the batch has ended; tasks it left behind call from outside then.
    """

    __slots__ = ("batch", "callers", "depth", "handler", "is_over", "nested")

    def __init__(self, handler: object, callers: set[Frame], depth: int, batch: Batch | None = None) -> None:
        self.batch = batch
        self.handler = handler
        self.callers = callers
        self.depth = depth
        self.nested: Any = None
        self.is_over = False

    def end(self) -> None:
        """Note that the batch has ended, and let go of it: others may know this frame for longer."""
        self.is_over = True
        self.batch = None

    def find(self, handler: object) -> Frame | None:
        """Return the deepest frame of *handler* that runs and waits for this one, None without one."""
        found: Frame | None = None
        seen: set[Frame] = set()
        waiting = [self]
        while waiting:
            frame = waiting.pop()
            if frame in seen:
                continue
            seen.add(frame)
            if (
                frame.handler is handler
                and not frame.is_over
                and (found is None or frame.depth > found.depth)
            ):
                found = frame
            waiting += frame.callers
        return found

    def deeper(self, name: str) -> int:
        """Return the depth of calls made from here.

        Raises:
            ReentrantBatch: That is too deep to be meant.
        """
        if self.depth >= MAX_DEPTH:
            raise ReentrantBatch(f"{name} calls itself more than {MAX_DEPTH} deep")
        return self.depth + 1


current_frame: contextvars.ContextVar[Frame | None] = contextvars.ContextVar("gristmill_frame", default=None)


def is_wanted() -> bool:
    """Tell whether somebody still waits for the batch that the current code runs in, if it runs in one."""
    frame = current_frame.get()
    return frame is None or frame.batch is None or frame.batch.is_wanted
