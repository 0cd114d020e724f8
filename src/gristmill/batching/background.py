"""An event loop in a thread of its own, for programs that have none.

Started by the first call that needs it, shared by all handlers, and stopped
when the interpreter ends; a child made by fork starts its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading


class BackgroundLoop:
    """A daemon thread that runs an event loop for as long as the process lives."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        """Return the loop, started when it was not."""
        with self._lock:
            if self._loop is None or self._loop.is_closed():
                loop = asyncio.new_event_loop()
                ready = threading.Event()
                self._thread = threading.Thread(
                    target=_serve, args=(loop, ready), name="gristmill background", daemon=True
                )
                self._thread.start()
                ready.wait()
                self._loop = loop
            return self._loop

    def is_running(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether *loop* is this one, and alive."""
        return self._loop is loop and not loop.is_closed()

    def stop(self) -> None:
        """Stop the loop: what still waits on it gets ``BatcherClosed``. Idempotent."""
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is None or thread is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join()

    def forget(self) -> None:
        """In a child made by fork: the thread did not come along."""
        self._lock = threading.Lock()
        self._loop = self._thread = None


def _serve(loop: asyncio.AbstractEventLoop, ready: threading.Event) -> None:
    asyncio.set_event_loop(loop)
    loop.call_soon(ready.set)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


background = BackgroundLoop()
atexit.register(background.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=background.forget)
