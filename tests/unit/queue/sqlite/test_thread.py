from __future__ import annotations

import asyncio
import threading

import pytest

from gristmill.errors import StoreUnavailable
from gristmill.queue.sqlite.thread import DatabaseThread


class Broken(DatabaseThread[None]):
    """One whose code has a bug."""

    def __init__(self):
        super().__init__("the store")
        self.go = threading.Event()
        self.has_ended = False

    def _serve(self, message):
        self.go.wait(30)
        raise MemoryError

    def _end(self):
        self.has_ended = True


async def test_a_thread_that_dies_leaves_nobody_waiting(monkeypatch):
    reported = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: reported.set())
    thread = Broken()
    waiting = [thread.submit(lambda _: None) for _ in range(3)]
    thread.go.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(error) for error in found} == {StoreUnavailable}
    await thread.close()
    assert thread.has_ended
    with pytest.raises(StoreUnavailable, match="is closed"):
        thread.submit(lambda _: None)
    assert await asyncio.to_thread(reported.wait, 30)
