from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gristmill import BatchHandler, Failed, batch
from gristmill.errors import ConfigurationError, JobNotFound
from gristmill.queue.following import follow
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.service import Jobs


def doubling(gate: asyncio.Semaphore) -> BatchHandler[int, int]:
    """Return a handler that runs a batch of two for each permission."""

    @batch(name="double", max_size=2)
    async def double(items: list[int]) -> list[int]:
        await gate.acquire()
        return [2 * item for item in items]

    return double


@pytest.mark.parametrize("ordered", [False, True])
async def test_outcomes_come_as_they_are_settled_and_end_with_the_job(*, ordered: bool) -> None:
    gate = asyncio.Semaphore(0)
    jobs = Jobs([doubling(gate)], MemoryStore())
    await jobs.start()
    ref = await jobs.enqueue("double", range(6))
    seen = []
    gate.release()
    async for item in follow(jobs, ref.id, ordered=ordered):
        seen.append((item.place, item.decoded()))
        if len(seen) % 2 == 0:
            gate.release()
    await jobs.stop()
    assert seen == [(place, 2 * place) for place in range(6)]


async def test_items_that_were_let_run_again_are_waited_for_in_their_order() -> None:
    outcomes: dict[int, Any] = {1: Failed("not yet", "early")}

    @batch(name="double")
    async def double(items: list[int]) -> list[int]:
        return [outcomes.get(item, 2 * item) for item in items]

    jobs = Jobs([double], MemoryStore())
    await jobs.start()
    ref = await jobs.enqueue("double", range(3))
    await ref.wait(10)
    await jobs.pause("double")
    outcomes.clear()
    await jobs.retry(ref.id)
    seen = []
    async for item in follow(jobs, ref.id, ordered=True):
        seen.append(item.decoded())
        await jobs.resume("double")
    await jobs.stop()
    assert seen == [0, 2, 4]


async def test_it_goes_on_after_a_cursor() -> None:
    gate = asyncio.Semaphore(10)
    jobs = Jobs([doubling(gate)], MemoryStore())
    await jobs.start()
    ref = await jobs.enqueue("double", range(4))
    cursors = [item.cursor async for item in follow(jobs, ref.id)]
    rest = [item.place async for item in follow(jobs, ref.id, after=cursors[2])]
    await jobs.stop()
    assert rest == [3]


async def test_a_job_that_is_not_there_and_options_that_contradict_are_refused() -> None:
    jobs = Jobs([], MemoryStore())
    options: list[tuple[type[Exception], dict[str, Any]]] = [
        (JobNotFound, {}),
        (ConfigurationError, {"ordered": True, "after": "1.1"}),
    ]
    for kind, wrong in options:
        with pytest.raises(kind):
            await anext(follow(jobs, "job_nope", **wrong))
