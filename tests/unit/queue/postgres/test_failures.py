"""What the driver raises, as errors of a store; and servers that go away."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from gristmill.errors import (
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
)
from gristmill.model.lease import Claim, Settled
from gristmill.queue.postgres.address import address_of
from gristmill.queue.postgres.connections import Connections
from gristmill.queue.postgres.failures import may_repeat, translated
from gristmill.queue.postgres.store import PostgresStore


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError("no"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (asyncpg.InternalClientError("cannot switch"), StoreUnavailable),
        (asyncpg.ConnectionDoesNotExistError("gone"), StoreUnavailable),
        (asyncpg.CannotConnectNowError("starting up"), StoreUnavailable),
        (asyncpg.AdminShutdownError("shut down"), StoreUnavailable),
        (asyncpg.QueryCanceledError("cancelled"), StoreUnavailable),
        (asyncpg.TooManyConnectionsError("too many"), StoreUnavailable),
        (asyncpg.DeadlockDetectedError("deadlock"), StoreUnavailable),
        (asyncpg.SerializationError("serialize"), StoreUnavailable),
        (asyncpg.DiskFullError("no space"), StoreFull),
        (asyncpg.ReadOnlySQLTransactionError("read-only"), StoreReadOnly),
        (asyncpg.InvalidPasswordError("password"), StoreMisconfigured),
        (asyncpg.InvalidCatalogNameError("database"), StoreMisconfigured),
        (asyncpg.InsufficientPrivilegeError("denied"), StoreMisconfigured),
        (asyncpg.UndefinedTableError("table"), StoreMisconfigured),
        (asyncpg.UndefinedFunctionError("function"), StoreMisconfigured),
        (asyncpg.exceptions.ClientConfigurationError("url"), StoreMisconfigured),
        (asyncpg.DataError("data"), StoreError),
    ],
)
def test_every_error_of_the_driver_is_one_of_ours(error: Exception, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, translated():
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_errors_of_others_and_cancellation_pass() -> None:
    for error in (KeyError("x"), asyncio.CancelledError()):
        with pytest.raises(type(error)), translated():
            raise error


def test_only_meetings_of_transactions_are_repeated() -> None:
    for error, repeats in (
        (asyncpg.DeadlockDetectedError("x"), True),
        (asyncpg.SerializationError("x"), True),
        (asyncpg.UniqueViolationError("x"), False),
        (TimeoutError(), False),
    ):
        with pytest.raises(StoreError) as caught, translated():
            raise error
        assert may_repeat(caught.value) is repeats


async def test_a_database_that_is_not_there_is_told(url: str) -> None:
    store = PostgresStore(url.replace("/t", "/nobody_t", 1))
    with pytest.raises(StoreMisconfigured, match="database"):
        await store.open()
    await store.close()


async def test_tables_that_are_not_there_are_told(url: str, worker_of: Any) -> None:
    store = PostgresStore(url)
    with pytest.raises(StoreMisconfigured, match="open"):
        await worker_of(store).submit(1)
    await store.close()


async def test_a_server_nobody_listens_at_is_unavailable() -> None:
    store = PostgresStore("postgresql://me@127.0.0.1:1/db")
    with pytest.raises(StoreUnavailable):
        await store.open()
    with pytest.raises(StoreUnavailable):
        await store.now()
    await store.wait(["numbers"], 0.01)
    await store.close()
    await store.close()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_store_works_again_when_its_server_does(server: Any, worker_of: Any, mode: str) -> None:
    store = PostgresStore(server.url)
    await store.open()
    worker = worker_of(store)
    await worker.submit(20, chunk=10)
    claim = await worker.claim(items=10)
    await asyncio.gather(*(store.now() for _ in range(10)), store.wait(["numbers"], 0.01))
    await asyncio.to_thread(server.stop, mode)
    calls = (
        store.now(),
        worker.submit(1),
        worker.try_claim(),
        store.settle(worker.done(claim)),
        store.open(),
    )
    for answer in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(answer, StoreUnavailable), answer
    await asyncio.to_thread(server.start)
    assert await store.settle(worker.done(claim)) is Settled.SETTLED
    assert await worker.drain() == 10
    await store.close()


async def test_calls_under_way_when_the_server_stops_end_and_what_was_answered_is_kept(
    server: Any, worker_of: Any
) -> None:
    store = PostgresStore(server.url)
    await store.open()
    worker = worker_of(store)
    kept: list[str] = []
    begun = asyncio.Event()

    async def submit() -> None:
        while True:
            try:
                kept.append(await worker.submit(1))
            except StoreUnavailable:
                return
            begun.set()

    tasks = [asyncio.create_task(submit()) for _ in range(10)]
    await begun.wait()
    await asyncio.to_thread(server.stop, "immediate")
    await asyncio.gather(*tasks)
    await asyncio.to_thread(server.start)
    for job in kept:
        assert await store.job(job) is not None
    assert await worker.drain() >= len(kept)
    await store.close()


async def test_a_transaction_that_meets_another_is_tried_again(worker: Any, sql: asyncpg.Connection) -> None:
    jobs = [await worker.submit(1) for _ in range(2)]
    claim = await worker.claim()
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute("SET LOCAL deadlock_timeout = '10min'")  # the other side is to be the victim
    await sql.fetch("SELECT FROM gristmill.job WHERE id = $1 FOR UPDATE", max(jobs))
    settling = asyncio.create_task(worker.store.settle(worker.done(claim)))
    locked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not await sql.fetchval(locked):
        pass
    await sql.fetch("SELECT FROM gristmill.job WHERE id = $1 FOR UPDATE", min(jobs))
    await transaction.rollback()
    assert await settling is Settled.SETTLED
    assert [(await worker.store.job(job)).counts.succeeded for job in jobs] == [1, 1]


async def test_a_call_that_is_cancelled_leaves_nothing_half_done(worker: Any) -> None:
    for _ in range(30):
        await worker.submit(4, chunk=1, key="k")

    async def claim_and_settle() -> None:
        while isinstance(claim := await worker.try_claim(), Claim):
            await worker.store.settle(worker.done(claim))

    for _ in range(40):
        task = asyncio.create_task(claim_and_settle())
        await asyncio.wait([task], timeout=0.004)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # A claim whose answer was lost is a lease that dies; everything else goes on.
    await asyncio.gather(*(worker.store.now() for _ in range(20)))
    while isinstance(claim := await worker.try_claim(), Claim):
        await worker.store.settle(worker.done(claim))
    (status,) = await worker.store.queues() or [None]
    if status is not None:
        assert status.running in (0, 1)
        assert status.ready == 0


async def test_a_half_open_connection_is_noticed_and_replaced(
    store: PostgresStore, pooler: tuple[Any, str]
) -> None:
    between, url = pooler
    connections = Connections(address_of(f"{url}?pgbouncer=true"), size=1, patience=0.2)
    assert await connections.value("now") > 0
    between.speaks.clear()
    with pytest.raises(StoreUnavailable, match="in time"):
        await connections.value("now")
    between.speaks.set()
    assert await connections.value("now") > 0
    await connections.close()
