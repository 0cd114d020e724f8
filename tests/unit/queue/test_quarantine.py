"""Items that a worker died with run alone in the next one."""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill import batch
from gristmill.model.lease import Claim
from gristmill.model.settling import Policy, settle_crash
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.quarantine import Quarantine
from gristmill.queue.service import Jobs


async def turns(number: int = 100) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def crash(store: MemoryStore, queue: str) -> None:
    """Have a worker die with what waits in *queue*."""
    claim = await store.claim(queue, worker="dead", max_items=100, max_bytes=1 << 20, seconds=30)
    assert isinstance(claim, Claim)
    await store.settle(settle_crash(claim, Policy()))


class Two:
    """Two handlers in one worker, each with two slots; a gate that their batches wait at."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.gate = asyncio.Event()
        self.seen: list[tuple[str, list[int]]] = []
        self.running = 0
        self.beside: dict[tuple[str, int], int] = {}

        @batch(name="left", concurrency=2, max_size=4)
        async def left(items: list[int]) -> list[int]:
            return await self.run("left", items)

        @batch(name="right", concurrency=2, max_size=4)
        async def right(items: list[int]) -> list[int]:
            return await self.run("right", items)

        self.jobs = Jobs([left, right], self.store)

    async def run(self, name: str, items: list[int]) -> list[int]:
        self.seen.append((name, list(items)))
        self.beside[name, items[0]] = self.running
        self.running += 1
        await self.gate.wait()
        await turns(20)
        self.running -= 1
        return items


async def test_suspects_of_all_queues_run_one_after_another() -> None:
    two = Two()
    refs = [await two.jobs.enqueue(name, range(4)) for name in ("left", "right")]
    for name in ("left", "right"):
        await crash(two.store, name)
    others = await two.jobs.enqueue("right", range(10, 14))
    await two.jobs.start()
    await turns()
    assert len(two.seen) == 1
    two.gate.set()
    for ref in (*refs, others):
        assert (await ref.wait(10)).counts.succeeded == 4
    assert [(name, items) for name, items in sorted(two.seen) if items[0] < 10] == [
        ("left", [0, 1]),
        ("left", [2, 3]),
        ("right", [0, 1]),
        ("right", [2, 3]),
    ]
    assert set(two.beside.values()) == {0}
    await two.jobs.stop(0)


async def test_a_suspect_waits_for_what_runs() -> None:
    two = Two()
    first = await two.jobs.enqueue("left", range(4))
    suspects = await two.jobs.enqueue("right", range(4))
    await crash(two.store, "right")
    await two.jobs.pause("right")
    await two.jobs.start()
    await turns()
    assert two.seen == [("left", [0, 1, 2, 3])]
    await two.jobs.resume("right")
    await turns()
    assert len(two.seen) == 1
    two.gate.set()
    for ref in (first, suspects):
        assert (await ref.wait(10)).counts.succeeded == 4
    assert set(two.beside.values()) == {0}
    await two.jobs.stop(0)


async def test_who_waits_for_a_suspect_is_let_in_when_it_leaves() -> None:
    quarantine = Quarantine()
    await quarantine.enter()
    suspect = object()
    assert await quarantine.isolate(suspect)
    waiting = asyncio.create_task(quarantine.enter())
    gone = asyncio.create_task(quarantine.enter())
    await turns()
    assert not waiting.done()
    gone.cancel()
    quarantine.leave(suspect)
    await waiting


async def test_a_second_suspect_is_to_be_given_back() -> None:
    quarantine = Quarantine()
    await quarantine.enter()
    await quarantine.enter()
    first = object()
    waiting = asyncio.create_task(quarantine.isolate(first))
    await turns()
    second: Any = object()
    assert not await quarantine.isolate(second)
    quarantine.leave(second)
    assert await waiting


async def test_a_suspect_that_others_wait_for_is_alone_no_longer_than_it_has_patience() -> None:
    quarantine = Quarantine(patience=0.0)
    await quarantine.enter()
    await quarantine.enter()
    assert await quarantine.isolate(object())
