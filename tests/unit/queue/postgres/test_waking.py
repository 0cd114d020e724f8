"""Who is woken by what, and how fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from gristmill.model.lease import Claim, Idle
from gristmill.model.queue import QueueLimits
from gristmill.queue.postgres.store import PostgresStore


@pytest.fixture
async def other(store: PostgresStore, url: str) -> AsyncIterator[PostgresStore]:
    """Another store over the same data, as another process has it."""
    opened = PostgresStore(url)
    yield opened
    await opened.close()


async def listening(store: PostgresStore, sql: asyncpg.Connection) -> set[int]:
    """Wait until the store listens; return the processes that do so for it."""
    query = "SELECT pid FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"
    while not (rows := await sql.fetch(query)):
        await store.wait(["numbers"], 0)
    return {row["pid"] for row in rows}


async def next_claim(worker: Any) -> Claim:
    """Claim as a worker does, waiting as long as there is nothing."""
    while not isinstance(found := await worker.try_claim(), Claim):
        await worker.store.wait(["numbers"], 1000)
    return found


@pytest.fixture
def no_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait ends only when something is told."""
    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL", 1000.0)
    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL_DEAF", 1000.0)


@pytest.mark.usefixtures("no_polls")
async def test_work_from_another_process_wakes_a_worker(
    store: PostgresStore, other: PostgresStore, sql: asyncpg.Connection, worker_of: Any
) -> None:
    claiming = asyncio.create_task(next_claim(worker_of(store)))
    await listening(store, sql)
    job = await worker_of(other).submit(1)
    assert [chunk.job for chunk in (await claiming).chunks] == [job]


@pytest.mark.usefixtures("no_polls")
async def test_work_for_other_queues_wakes_nobody(url: str, store: PostgresStore, worker_of: Any) -> None:
    deaf = PostgresStore(f"{url}&pgbouncer=true")
    waiting = asyncio.create_task(deaf.wait(["letters", "signs"], 1000))
    await worker_of(deaf).submit(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    await worker_of(deaf).submit(1, queue="signs")
    await waiting
    await deaf.close()


@pytest.mark.usefixtures("no_polls")
async def test_news_between_a_claim_and_the_wait_after_it_are_not_lost(url: str, worker: Any) -> None:
    assert isinstance(await worker.try_claim(), Idle)
    await worker.submit(1)
    await worker.store.wait(["numbers"], 1000)
    assert isinstance(await worker.try_claim(), Claim)


async def test_a_burst_is_told_to_others_once(
    store: PostgresStore, other: PostgresStore, sql: asyncpg.Connection, worker: Any
) -> None:
    heard: list[str] = []
    await sql.add_listener("gristmill_ready", lambda *args: heard.append(args[-1]))
    await asyncio.gather(*(worker.submit(1) for _ in range(50)))
    await store.close()  # tells what is untold
    await sql.fetch("SELECT 1")
    assert 1 <= len(heard) <= 3
    assert {payload.partition(" ")[2] for payload in heard} == {"numbers"}


@pytest.mark.usefixtures("no_polls")
async def test_a_worker_hears_again_after_its_connection_was_lost(
    store: PostgresStore, other: PostgresStore, sql: asyncpg.Connection, worker_of: Any
) -> None:
    (lost,) = await listening(store, sql)
    await sql.fetch("SELECT pg_terminate_backend($1, 5000)", lost)
    assert lost not in await listening(store, sql)
    claiming = asyncio.create_task(next_claim(worker_of(store)))
    job = await worker_of(other).submit(1)
    assert [chunk.job for chunk in (await claiming).chunks] == [job]


@pytest.mark.usefixtures("no_polls")
async def test_a_slot_that_comes_free_wakes_who_waits_for_it(url: str, worker_of: Any, store: Any) -> None:
    deaf = PostgresStore(f"{url}&pgbouncer=true")
    worker = worker_of(deaf)
    await deaf.limit("numbers", QueueLimits(concurrency=1))
    await worker.submit(20, chunk=10)
    claim = await worker.claim(items=10)
    assert isinstance(await worker.try_claim(), Idle)
    waiting = asyncio.create_task(deaf.wait(["numbers"], 1000))
    await asyncio.sleep(0)
    assert not waiting.done()
    await deaf.settle(worker.done(claim))
    await waiting
    await deaf.close()


async def test_a_worker_polls_while_nothing_is_told(store: PostgresStore) -> None:
    await store.wait(["numbers"], 1000)
