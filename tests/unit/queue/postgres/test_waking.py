"""Who is woken by what, and how fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from gristmill.model.lease import Claim, Idle
from gristmill.queue.postgres.store import PostgresStore


@pytest.fixture
async def other(store: PostgresStore, url: str) -> AsyncIterator[PostgresStore]:
    """Another store over the same data, as another process has it."""
    opened = PostgresStore(url)
    yield opened
    await opened.close()


async def listening(store: PostgresStore, sql: asyncpg.Connection) -> None:
    """Wait once, and until the store listens."""
    await store.wait(["numbers"], 0)
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"
    )
    while not await sql.fetchval(query):
        pass


async def test_work_from_another_process_wakes_a_worker_long_before_it_polls(
    store: PostgresStore, other: PostgresStore, sql: asyncpg.Connection, worker_of: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL", 1000.0)
    await listening(store, sql)
    waiting = asyncio.create_task(store.wait(["numbers"], 1000))
    await asyncio.sleep(0)
    await worker_of(other).submit(1)
    await waiting
    await worker_of(store).claim()


async def test_work_for_other_queues_wakes_nobody(
    store: PostgresStore, sql: asyncpg.Connection, worker: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL", 1000.0)
    await listening(store, sql)
    waiting = asyncio.create_task(store.wait(["letters", "signs"], 1000))
    await worker.submit(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    await worker.submit(1, queue="signs")
    await waiting


async def test_news_between_a_claim_and_the_wait_after_it_are_not_lost(
    store: PostgresStore, worker: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL_DEAF", 1000.0)
    assert isinstance(await worker.try_claim(), Idle)
    await worker.submit(1)
    await store.wait(["numbers"], 1000)
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


async def test_a_worker_hears_again_after_its_connection_was_lost(
    store: PostgresStore, other: PostgresStore, sql: asyncpg.Connection, worker_of: Any
) -> None:
    await listening(store, sql)
    await sql.fetch("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'")
    await listening(store, sql)
    waiting = asyncio.create_task(store.wait(["numbers"], 1000))
    await worker_of(other).submit(1)
    await waiting


async def test_a_slot_that_comes_free_wakes_who_waits_for_it(
    store: PostgresStore, worker: Any, monkeypatch: Any
) -> None:
    from gristmill.model.queue import QueueLimits  # noqa: PLC0415 - only here

    monkeypatch.setattr("gristmill.queue.postgres.waking.POLL_DEAF", 1000.0)
    await store.limit("numbers", QueueLimits(concurrency=1))
    await worker.submit(20, chunk=10)
    claim = await worker.claim(items=10)
    assert isinstance(await worker.try_claim(), Idle)
    waiting = asyncio.create_task(store.wait(["numbers"], 1000))
    await asyncio.sleep(0)
    await store.settle(worker.done(claim))
    await waiting


async def test_a_worker_polls_while_nothing_is_told(store: PostgresStore) -> None:
    await store.wait(["numbers"], 1000)
