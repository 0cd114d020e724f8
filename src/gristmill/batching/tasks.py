"""What a batch's task does with asyncio: begin before it exists, and end for more than its batch."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator


@types.coroutine
def begun() -> Generator[None, None, None]:
    """Stop once, to go on as a task."""
    yield


def leave_to_the_loop() -> None:
    """Have the running task count as looked at: what it raises next, its loop raises too."""
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def is_for_the_loop(error: BaseException) -> bool:
    """Tell whether *error* is meant for more than its batch: an exit, or a cancel from outside."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and bool(task.cancelling())
    return isinstance(error, KeyboardInterrupt | SystemExit)
