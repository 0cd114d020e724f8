"""What only an SQL store, or only this one, can do and can get wrong."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import asyncpg
import pytest

from gristmill.errors import ConfigurationError, LeaseLost, NotSupported, StoreError
from gristmill.model.chunk import NewChunk, again
from gristmill.model.job import JobState, NewJob, Unique
from gristmill.model.lease import Claim, Settled, Settlement
from gristmill.model.queue import DeadFilter
from gristmill.queue.postgres.store import PostgresStore

# -- a handler's transaction


@pytest.fixture
async def effects(sql: asyncpg.Connection) -> asyncpg.Connection:
    """A table of the user's own."""
    await sql.execute("CREATE TABLE effect (item integer)")
    return sql


async def test_effects_and_outcomes_are_committed_together(worker: Any, effects: Any) -> None:
    job = await worker.submit(3)
    claim = await worker.claim()
    async with worker.store.transaction(claim) as transaction:
        await transaction.connection.execute("INSERT INTO effect VALUES (1)")
        assert await transaction.settle(worker.done(claim)) is Settled.SETTLED
        assert await effects.fetchval("SELECT count(*) FROM effect") == 0
    assert await effects.fetchval("SELECT count(*) FROM effect") == 1
    assert (await worker.store.job(job)).state is JobState.COMPLETED
    assert await worker.store.settle(worker.done(claim)) is Settled.DUPLICATE


@pytest.mark.parametrize("error", [KeyError("x"), OSError("x"), TimeoutError(), asyncio.CancelledError()])
async def test_an_error_of_the_handler_undoes_both_and_comes_out_as_it_is(
    worker: Any, effects: Any, error: BaseException
) -> None:
    await worker.submit(3)
    claim = await worker.claim()

    async def handle() -> None:
        async with worker.store.transaction(claim) as transaction:
            await transaction.connection.execute("INSERT INTO effect VALUES (1)")
            await transaction.settle(worker.done(claim))
            raise error

    with pytest.raises(type(error)) as caught:
        await handle()
    assert caught.value is error
    assert await effects.fetchval("SELECT count(*) FROM effect") == 0
    assert await worker.store.settle(worker.done(claim)) is Settled.SETTLED


async def test_an_error_of_the_database_that_the_handler_caused_is_its_own(worker: Any, effects: Any) -> None:
    await worker.submit(1)
    claim = await worker.claim()
    with pytest.raises(asyncpg.UndefinedTableError):
        async with worker.store.transaction(claim) as transaction:
            await transaction.connection.execute("INSERT INTO nowhere VALUES (1)")
    async with worker.store.transaction(claim) as transaction:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with transaction.connection.transaction():  # a savepoint
                await transaction.connection.execute("INSERT INTO nowhere VALUES (1)")
        assert await transaction.settle(worker.done(claim)) is Settled.SETTLED


async def test_a_lease_that_died_opens_no_transaction(worker: Any) -> None:
    await worker.submit(1)
    claim = await worker.claim(seconds=0)
    assert await worker.store.take_over(worker="r", seconds=60) is not None
    with pytest.raises(LeaseLost):
        async with worker.store.transaction(claim):
            pass


async def test_a_lease_with_an_open_transaction_lives_however_long_it_takes(worker: Any) -> None:
    await worker.submit(1)
    claim = await worker.claim(seconds=0)
    async with worker.store.transaction(claim) as transaction:
        assert await worker.store.take_over(worker="r", seconds=60) is None
        assert await worker.store.renew([claim.lease, 987654321], 60) == {987654321}
        timeout = await transaction.connection.fetchval("SHOW idle_in_transaction_session_timeout")
        assert timeout == "0"
        assert await transaction.connection.fetchval("SHOW enable_seqscan") == "on"
        await transaction.settle(worker.done(claim))


async def test_what_a_handler_leaves_in_its_session_is_gone_with_the_next(worker: Any) -> None:
    await worker.submit(2, chunk=1)
    for _ in range(2):
        claim = await worker.claim(items=1)
        async with worker.store.transaction(claim) as transaction:
            assert await transaction.connection.fetchval("SHOW search_path") != "pg_catalog"
            await transaction.connection.execute("SET search_path = pg_catalog")
            await transaction.settle(worker.done(claim))


async def test_open_transactions_leave_connections_for_the_others(worker: Any) -> None:
    await worker.submit(8, chunk=1)
    claims = [await worker.claim(items=1) for _ in range(8)]
    opened, leave = asyncio.Barrier(9), asyncio.Event()

    async def handle(claim: Claim) -> None:
        async with worker.store.transaction(claim) as transaction:
            await opened.wait()
            await leave.wait()
            await transaction.settle(worker.done(claim))

    tasks = [asyncio.create_task(handle(claim)) for claim in claims]
    await opened.wait()
    assert await worker.store.now() > 0
    leave.set()
    await asyncio.gather(*tasks)


# -- enqueueing in the user's transaction


async def test_jobs_are_enqueued_with_the_users_own_rows_or_not_at_all(worker: Any, effects: Any) -> None:
    undone = effects.transaction()
    await undone.start()
    await worker.store.enqueue([worker.new(2)], connection=effects)
    await undone.rollback()
    assert await worker.drain() == 0
    async with effects.transaction():
        await effects.execute("INSERT INTO effect VALUES (1)")
        (found,) = await worker.store.enqueue(
            [worker.new(3, key="k", unique=Unique(key="u"))], connection=effects
        )
        (same,) = await worker.store.enqueue([worker.new(3, unique=Unique(key="u"))], connection=effects)
        assert (same.job, same.created) == (found.job, False)
        assert await worker.drain() == 0
    assert await worker.drain() == 3


async def test_an_enqueue_that_fails_leaves_the_users_transaction_usable(worker: Any, effects: Any) -> None:
    job = NewJob(id="job_x", queue="numbers")
    too_many = NewChunk(job="job_x", places=((0, 1),), items=2**40, body=b"[1]")
    async with effects.transaction():
        with pytest.raises(StoreError):
            await worker.store.enqueue([(job, [too_many])], connection=effects)
        await effects.execute("INSERT INTO effect VALUES (1)")
    assert await effects.fetchval("SELECT count(*) FROM effect") == 1


async def test_what_cannot_be_joined_is_refused(worker: Any, sql: asyncpg.Connection) -> None:
    with pytest.raises(NotSupported, match="asyncpg"):
        await worker.store.enqueue([worker.new()], connection=object())
    with pytest.raises(ConfigurationError, match="begin"):
        await worker.store.enqueue([worker.new()], connection=sql)
    async with sql.transaction(isolation="repeatable_read"):
        await worker.store.enqueue([worker.new()], connection=sql)
        with pytest.raises(NotSupported, match="read committed"):
            await worker.store.enqueue([worker.new(key="k")], connection=sql)
    assert await worker.drain() == 1


# -- keys


async def test_a_key_never_runs_twice_at_once_and_never_stands_still(
    store: PostgresStore, url: str, worker_of: Any
) -> None:
    stores = [store, PostgresStore(url)]
    workers = [worker_of(each) for each in stores]
    random.seed(7)
    submitted = asyncio.Event()
    running: set[str] = set()
    done = 0

    async def submit(worker: Any) -> None:
        for _ in range(60):
            await worker.submit(random.randint(1, 4), key=random.choice("abc"), chunk=2)

    async def work(worker: Any) -> None:
        nonlocal done
        while True:
            claim = await worker.try_claim(items=random.randint(1, 5))
            if not isinstance(claim, Claim):
                if submitted.is_set() and not await worker.store.queues():
                    return
                continue
            keys = {chunk.key for chunk in claim.chunks}
            assert len(keys) == len(claim.chunks)
            assert not keys & running
            running.update(keys)
            settlement = worker.done(claim)
            if random.random() < 0.2:
                settlement = Settlement(
                    lease=claim.lease,
                    chunks=tuple(again(chunk, attempt=chunk.attempt + 1) for chunk in claim.chunks),
                )
            # Free from here on: the next claim may come before the answer.
            running.difference_update(keys)
            if random.random() < 0.1:
                assert await worker.store.release(claim.lease)
            else:
                assert await worker.store.settle(settlement) is Settled.SETTLED
                done += sum(result.items for result in settlement.results)

    tasks = [asyncio.create_task(work(worker)) for worker in workers for _ in range(3)]
    await asyncio.gather(*(submit(worker) for worker in workers for _ in range(2)))
    submitted.set()
    await asyncio.gather(*tasks)
    page = await store.jobs(limit=1000)
    assert len(page.jobs) == 240
    assert {job.state for job in page.jobs} == {JobState.COMPLETED}
    assert sum(job.counts.succeeded for job in page.jobs) == done
    await stores[1].close()


async def test_more_keys_than_the_server_has_locks_for_are_enqueued_at_once(worker: Any) -> None:
    await worker.store.enqueue([worker.new(key=str(number)) for number in range(2000)])
    await worker.store.enqueue([worker.new(key=str(number)) for number in range(2000)])
    assert await worker.drain() == 4000


async def test_dead_items_of_a_key_come_back_behind_what_runs(worker: Any) -> None:
    await worker.submit(1, key="a")
    claim = await worker.claim()
    dead = tuple(again(chunk, code="bad") for chunk in claim.chunks)
    await worker.store.settle(Settlement(lease=claim.lease, chunks=dead, results=worker.done(claim).results))
    second = await worker.submit(1, key="a")
    running = await worker.claim()
    assert await worker.store.redrive(DeadFilter()) == 1
    assert not isinstance(await worker.try_claim(), Claim)
    await worker.store.settle(worker.done(running))
    assert [chunk.job for chunk in running.chunks] == [second]
    assert (await worker.claim()).items == 1


# -- unique keys


async def test_of_many_under_one_key_from_two_processes_one_is_made(
    store: PostgresStore, url: str, worker: Any
) -> None:
    other = PostgresStore(url)
    for number in range(10):
        key = Unique(key=f"k{number}")
        found = await asyncio.gather(
            *(each.enqueue([worker.new(unique=key)]) for each in (store, other) for _ in range(5))
        )
        assert sum(answer.created for (answer,) in found) == 1
        assert len({answer.job for (answer,) in found}) == 1
    await other.close()


async def test_the_same_jobs_from_two_processes_are_stored_once(
    store: PostgresStore, url: str, worker: Any
) -> None:
    other = PostgresStore(url)
    jobs = [worker.new(2) for _ in range(20)]
    found = await asyncio.gather(
        *(each.enqueue([job]) for job in jobs for each in (store, other)), store.enqueue(jobs)
    )
    created = [answer.job for answers in found for answer in answers if answer.created]
    assert sorted(created) == sorted(job.id for job, _ in jobs)
    assert await worker.drain() == 40
    await other.close()


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_job_that_somebody_stores_just_then_is_a_duplicate(
    worker: Any, sql: asyncpg.Connection, key: str | None
) -> None:
    job = worker.new(2, key=key)
    transaction = sql.transaction()
    await transaction.start()
    await worker.store.enqueue([job], connection=sql)
    storing = asyncio.create_task(worker.store.enqueue([job]))
    while not await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass
    await transaction.commit()
    (found,) = await storing
    assert (found.job, found.created) == (job[0].id, False)
    assert await worker.drain() == 2


async def test_nothing_to_enqueue_is_nothing_to_do(worker: Any) -> None:
    assert await worker.store.enqueue([]) == []


async def test_an_empty_job_does_not_hold_its_unique_key(worker: Any) -> None:
    for _ in range(2):
        (found,) = await worker.store.enqueue([worker.new(0, unique=Unique(key="k"))])
        assert found.created


# -- texts and sizes


async def test_keys_and_messages_may_hold_any_character(worker: Any) -> None:
    key = "a\0b\U0001f600"
    await worker.submit(1, key=key, unique=Unique(key=key, fingerprint=key))
    (same,) = await worker.store.enqueue([worker.new(unique=Unique(key=key, fingerprint=key))])
    assert (same.created, same.matches) == (False, True)
    claim = await worker.claim()
    assert claim.chunks[0].key == key
    dead = tuple(again(chunk, code="c\0", error="no \ud800 good\0") for chunk in claim.chunks)
    await worker.store.settle(Settlement(lease=claim.lease, chunks=dead))
    (group,) = await worker.store.dead(DeadFilter(code="c\0"))
    assert (group.items, group.error) == (1, "no ? good\ufffd")


async def test_a_job_larger_than_one_command_is_stored_whole(worker: Any) -> None:
    job = NewJob(id="job_large", queue="numbers")
    body = b'["' + b"x" * 3_000_000 + b'"]'
    chunks = [NewChunk(job=job.id, places=((place, 1),), items=1, body=body) for place in range(5)]
    (found,) = await worker.store.enqueue([(job, chunks)])
    assert found.created
    assert (await worker.store.job(job.id)).counts.total == 5
    assert [chunk.places[0][0] for chunk in (await worker.claim()).chunks] == [0, 1, 2, 3, 4]


# -- threads and poolers


async def test_a_twin_renews_from_another_thread(worker: Any) -> None:
    await worker.submit(1)
    claim = await worker.claim(seconds=0)
    twin = worker.store.twin()
    lost: list[set[int]] = []

    async def renew() -> None:
        lost.append(await twin.renew([claim.lease, 987654321], 60))
        await twin.close()

    thread = threading.Thread(target=lambda: asyncio.run(renew()))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert lost == [{987654321}]
    assert await worker.store.take_over(worker="r", seconds=60) is None


async def test_everything_works_behind_a_pooler_of_transactions(
    pooler: tuple[Any, str], worker_of: Any
) -> None:
    between, url = pooler
    store = PostgresStore(f"{url}?pgbouncer=true")
    await store.open()
    worker = worker_of(store)
    await asyncio.gather(*(worker.submit(10, chunk=5, key=random.choice("ab")) for _ in range(20)))
    await worker.submit(5, unique=Unique(key="k"))
    await store.wait(["numbers"], 1000)
    claims = await asyncio.gather(*(worker.try_claim(items=5) for _ in range(4)))
    for claim in claims:
        if isinstance(claim, Claim):
            async with store.transaction(claim) as transaction:
                assert await transaction.settle(worker.done(claim)) is Settled.SETTLED
    await asyncio.gather(*(worker.drain() for _ in range(4)))
    assert await worker.drain() == 0
    assert {job.state for job in (await store.jobs()).jobs} == {JobState.COMPLETED}
    assert await store.prune("numbers", older_than=-1) == 21
    await store.close()
    assert between.transactions > 50
