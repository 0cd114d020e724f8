"""Who is woken by what, and how soon."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gristmill.model.lease import Claim
from gristmill.model.queue import QueueLimits

LONG = 50.0


async def waiting(lab: Any, store: Any, server: Any, *queues: str) -> asyncio.Task[None]:
    """Start to wait, and return when the server knows of it."""
    before = (await lab.ask(server, "INFO", "clients"))["blocked_clients"]
    task = asyncio.create_task(store.wait(queues or ["numbers"], LONG))

    async def is_blocked() -> bool:
        return bool((await lab.ask(server, "INFO", "clients"))["blocked_clients"] > before)

    await lab.until(is_blocked)
    return task


async def test_who_waits_for_work_of_another_process_has_it_about_as_soon_as_who_asks(lab: Any) -> None:
    server = lab.serve()
    worker, producer = lab.reach(server), lab.reach(server)
    took: dict[bool, list[float]] = {True: [], False: []}
    for is_told in [True] * 30 + [False] * 30:
        task = await waiting(lab, worker, server) if is_told else None
        start = time.perf_counter()
        await producer.enqueue([lab.new()])
        if task is not None:
            await task
        found = await lab.claim(worker)
        took[is_told].append(time.perf_counter() - start)
        assert isinstance(found, Claim)
        await lab.succeed(worker, found)
    told, asked = (sorted(seconds)[len(seconds) // 2] for seconds in took.values())
    assert told <= 10 * asked  # who looks once in 100 ms has it after 50


async def test_one_job_wakes_one_process_and_what_is_left_the_next(lab: Any) -> None:
    server = lab.serve()
    stores = [lab.reach(server) for _ in range(4)]
    tasks = [await waiting(lab, store, server) for store in stores]
    await lab.reach(server).enqueue([lab.new(3, chunk=1)])
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 3)
    assert (await lab.claim(stores[0], items=1)).more
    done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    assert (len(done), len(pending)) == (1, 2)
    assert not (await lab.claim(stores[0])).more
    assert await lab.ask(server, "EXISTS", "{gm}:wake:numbers") == 0
    assert not any(task.done() for task in pending)
    for task in pending:
        task.cancel()


async def test_one_connection_serves_all_who_wait_in_a_process(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    letters = await waiting(lab, store, server, "letters")
    others = [asyncio.create_task(store.wait([name], LONG)) for name in ("numbers", "words")]
    await asyncio.sleep(0)
    for name, task in zip(("words", "numbers", "letters"), (others[1], others[0], letters), strict=True):
        await store.enqueue([lab.new(queue=name)])
        await task
    assert (await lab.ask(server, "INFO", "clients"))["blocked_clients"] == 0


async def test_what_came_before_the_wait_ends_it_at_once(lab: Any) -> None:
    store = lab.reach(lab.serve())
    await store.enqueue([lab.new()])
    await store.wait(["letters", "numbers"], LONG)


async def test_a_wake_for_one_who_has_gone_is_passed_on(lab: Any) -> None:
    server = lab.serve()
    gone, other = lab.reach(server), lab.reach(server)
    task = await waiting(lab, gone, server)
    waits = await waiting(lab, other, server)
    task.cancel()
    await asyncio.wait([task])
    await other.enqueue([lab.new()])
    await waits


async def test_settling_wakes_who_waits_for_a_limited_queue(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.limit("numbers", QueueLimits(concurrency=1))
    await store.enqueue([lab.new(2, chunk=1)])
    found = await lab.claim(store, items=1)
    await store.wait(["numbers"], LONG)  # what the claim left
    task = await waiting(lab, store, server)
    await lab.succeed(store, found)
    await task


async def test_closing_a_store_ends_its_listening(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    task = await waiting(lab, store, server)
    await store.close()

    async def is_free() -> bool:
        return bool((await lab.ask(server, "INFO", "clients"))["blocked_clients"] == 0)

    await lab.until(is_free)
    task.cancel()
