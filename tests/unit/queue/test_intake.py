from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.silence import silence

from gristmill import batch
from gristmill.errors import InvalidItem, JobNotFound, UploadAbandoned
from gristmill.model.chunk import NewChunk, each_place
from gristmill.model.job import Enqueued, NewJob, Unique
from gristmill.model.lease import NewResult, ResultKind
from gristmill.model.settling import Failure
from gristmill.queue.coding import QueueCodec
from gristmill.queue.intake import Intake, Ready
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.store import ABANDONED

JOB = "job_" + "0" * 26
BAD = Failure("invalid_item", "line 2: no", 0)


class Sieve(MemoryStore):
    """Keeps no bodies, and notes how many bytes came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        self.sizes.append(sum(len(chunk.body) for chunk in chunks))
        await super().add(job, [], refused=refused)


def intake(store: MemoryStore, **limits: Any) -> Intake:
    @batch(name="numbers", **limits)
    async def numbers(items: list[int]) -> list[int]:
        return items

    return Intake(numbers, QueueCodec(numbers), store)


async def each(*parts: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    for part in parts:
        yield part


def ready(*numbers: int) -> list[Ready]:
    return [Ready(number, b"%d" % number) for number in numbers]


async def test_texts_are_stored_as_they_are() -> None:
    store = MemoryStore()
    source = each([Ready(1, b"1 "), Ready(2, b"2.0")])
    assert await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), source, key=None) == Enqueued(
        job=JOB, created=True
    )
    (chunk,) = await store.unprocessed(JOB)
    assert chunk.body == b"[1 ,2.0]"


async def test_failures_keep_their_places_among_the_items() -> None:
    store = MemoryStore()
    source = each([*ready(1), BAD, *ready(3)], [BAD], ready(5))
    await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), source, key=None)
    (chunk,) = await store.unprocessed(JOB)
    assert list(each_place(chunk.places)) == [0, 2, 4]
    (result,) = await store.results(JOB)
    assert (result.kind, list(each_place(result.places)), result.items) == (ResultKind.FAILED, [1, 3], 2)
    found = await store.job(JOB)
    assert found is not None
    assert (found.counts.total, found.counts.queued, found.counts.failed) == (5, 3, 2)


async def test_a_job_of_failures_alone_is_final() -> None:
    store = MemoryStore()
    await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), each([BAD]), key=None)
    found = await store.job(JOB)
    assert found is not None
    assert (found.state.is_final, found.counts.failed) == (True, 1)


async def test_a_source_that_breaks_leaves_nothing() -> None:
    async def broken() -> AsyncIterator[Sequence[Any]]:
        yield [Ready("x", b'"' + b"x" * (9 << 20) + b'"')]
        raise OSError("gone")

    store = MemoryStore()
    with pytest.raises(OSError, match="gone"):
        await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), broken(), key=None)
    assert await store.job(JOB) is None


async def test_memory_does_not_grow_with_the_source() -> None:
    text = b'"' + b"x" * 1000 + b'"'

    async def long() -> AsyncIterator[Sequence[Any]]:
        for _ in range(1000):
            yield [Ready("x", text)] * 60

    store = Sieve()
    await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), long(), key=None)
    assert sum(store.sizes) > 60_000_000
    assert max(store.sizes) < 9 << 20


async def test_items_with_a_key_of_their_own_are_put_together_by_it() -> None:
    store = MemoryStore()
    taking = intake(store, key=lambda number: number % 2)
    await taking.take_ready(NewJob(id=JOB, queue="numbers"), each(ready(0, 1, 2, 3)), key=None)
    chunks = await store.unprocessed(JOB)
    assert sorted((chunk.key, chunk.body) for chunk in chunks) == [("0", b"[0,2]"), ("1", b"[1,3]")]


class Touched(MemoryStore):
    """Notes which uploads were added to without items, and by which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.touches: list[str] = []
        self.touched = threading.Event()

    async def add(self, job: str, chunks: Sequence[NewChunk], *, refused: Sequence[NewResult] = ()) -> None:
        if not chunks and not refused:
            self.touches.append(threading.current_thread().name)
            self.touched.set()
        await super().add(job, chunks, refused=refused)


def large(number: int = 1) -> list[Ready]:
    """Return an item that does not wait in memory."""
    return [Ready(number, b" " * (9 << 20) + b"%d" % number)]


@pytest.mark.parametrize(("key", "adds"), [(None, 3), ("k", 0)])
async def test_many_chunks_do_not_come_to_the_store_in_one_go(key: str | None, adds: int) -> None:
    store = Sieve()
    taking = intake(store, key=lambda number: number)
    await taking.take(NewJob(id=JOB, queue="numbers"), range(25_000), key=key)
    assert len(store.sizes) == adds


async def test_an_item_whose_key_cannot_be_told_is_named_and_nothing_is_stored() -> None:
    store = MemoryStore()
    taking = intake(store, key=lambda number: 1 // number)
    with pytest.raises(InvalidItem, match=r"its key cannot be told: ZeroDivisionError") as told:
        await taking.take(NewJob(id=JOB, queue="numbers"), [1, 0, 2], key=None)
    assert told.value.index == 1
    assert await store.job(JOB) is None


async def test_an_upload_is_kept_alive_while_its_source_blocks_the_loop(monkeypatch: Any) -> None:
    monkeypatch.setattr("gristmill.queue.upload_keeper._EVERY", 0.001)

    async def slow() -> AsyncIterator[Sequence[Any]]:
        yield large()
        assert store.touched.wait(60)
        yield ready(2)

    store = Touched()
    await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), slow(), key=None)
    assert set(store.touches) == {"gristmill uploads"}
    found = await store.job(JOB)
    assert found is not None
    assert found.counts.queued == 2


@pytest.mark.parametrize("rest", [[], [Ready(2, b"2")], [Ready(2, b" " * (9 << 20) + b"2")]], ids="abc")
async def test_an_upload_that_was_taken_for_dead_says_so_and_leaves_what_took_its_place(
    rest: list[Ready],
) -> None:
    unique = Unique(key="k")
    other = NewJob(id="job_" + "1" * 26, queue="numbers", unique=unique)

    async def frozen() -> AsyncIterator[Sequence[Any]]:
        yield large()
        await silence(store, JOB, ABANDONED + 1)
        assert (await store.begin(other)).created
        yield rest

    store = MemoryStore()
    with pytest.raises(UploadAbandoned, match=r"over 60 seconds.*submit its items again"):
        await intake(store).take_ready(NewJob(id=JOB, queue="numbers", unique=unique), frozen(), key=None)
    assert [job.id for job in (await store.jobs()).jobs] == [other.id]


async def test_an_upload_that_was_cancelled_is_not_taken_for_a_dead_one() -> None:
    async def cancelled() -> AsyncIterator[Sequence[Any]]:
        yield large()
        await store.cancel(JOB)
        yield large(2)

    store = MemoryStore()
    with pytest.raises(JobNotFound, match="was cancelled while they came"):
        await intake(store).take_ready(NewJob(id=JOB, queue="numbers"), cancelled(), key=None)
