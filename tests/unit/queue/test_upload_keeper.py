from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from gristmill.errors import StoreUnavailable
from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.upload_keeper import UploadKeeper

FIRST, SECOND = (f"job_{number:026d}" for number in range(2))


class Heard(MemoryStore):
    """Puts the name of each upload that is touched into a queue; away for the first *away* touches."""

    def __init__(self, away: int = 0, error: type[Exception] = StoreUnavailable) -> None:
        super().__init__()
        self.heard: queue.Queue[str] = queue.Queue()
        self.away = away
        self.error = error
        self.closed = threading.Event()

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Any = ()) -> None:
        if self.away:
            self.away -= 1
            raise self.error("away")
        await super().add(job, chunks, refused=refused)
        self.heard.put(job)

    def hears(self, *jobs: str) -> None:
        """Wait until each of *jobs* was touched."""
        left = set(jobs)
        while left:
            left.discard(self.heard.get(timeout=60))


class Twofold(Heard):
    """A store whose twin is another one, over the same tables."""

    def twin(self) -> MemoryStore:
        twin = Heard()
        twin._tables = self._tables  # noqa: SLF001 - as stores on one server share theirs
        twin.heard = self.heard
        twin.close = self._note  # type: ignore[method-assign]
        return twin

    async def _note(self) -> None:
        self.closed.set()


def begun(store: MemoryStore, *jobs: str) -> None:
    for job in jobs:
        asyncio.run(store.begin(NewJob(id=job, queue="numbers")))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gristmill uploads"]


def ended() -> None:
    """Wait until no thread touches anything."""
    for thread in threads():
        thread.join(60)
    assert threads() == []


def test_uploads_are_touched_until_they_are_dropped_and_one_thread_is_enough() -> None:
    store = Heard()
    begun(store, FIRST, SECOND)
    keeper = UploadKeeper(store, 0.001)
    keeper.keep(FIRST)
    keeper.keep(SECOND)
    store.hears(FIRST, SECOND, FIRST)
    assert len(threads()) == 1
    keeper.drop(FIRST)
    store.hears(SECOND)
    keeper.drop(SECOND)
    ended()
    keeper.keep(FIRST)
    store.hears(FIRST)
    keeper.drop(FIRST)
    ended()


def test_a_drop_ends_the_wait_for_the_next_touch() -> None:
    store = Heard()
    begun(store, FIRST)
    keeper = UploadKeeper(store, 3600)
    keeper.keep(FIRST)
    keeper.drop(FIRST)
    keeper.drop("another")
    ended()


@pytest.mark.parametrize("error", [StoreUnavailable, OSError, RuntimeError])
def test_a_store_that_is_away_is_asked_again(
    caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    store = Heard(away=2, error=error)
    begun(store, FIRST)
    keeper = UploadKeeper(store, 0.001)
    keeper.keep(FIRST)
    store.hears(FIRST)
    keeper.drop(FIRST)
    ended()
    assert caplog.messages == ["keeping 1 uploads alive failed, and is tried again: away"] * 2


def test_an_upload_that_takes_no_more_items_is_left_alone() -> None:
    store = Heard()
    begun(store, FIRST)
    keeper = UploadKeeper(store, 0.001)
    keeper.keep(SECOND)
    ended()
    assert repr(keeper) == "<UploadKeeper of 0 uploads>"


def test_the_thread_has_a_store_of_its_own_and_closes_it() -> None:
    store = Twofold()
    begun(store, FIRST)
    keeper = UploadKeeper(store, 0.001)
    keeper.keep(FIRST)
    store.hears(FIRST)
    assert not store.closed.is_set()
    keeper.drop(FIRST)
    ended()
    assert store.closed.is_set()
