from __future__ import annotations

import asyncio
import contextlib

import apsw
import pytest

from gristmill.errors import ConfigurationError, LeaseLost, StoreError
from gristmill.model.lease import NewResult, ResultKind, Settled, Settlement


@pytest.fixture
def users(path, store):
    """A table of the handler's own, and what reads it."""
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE users (name PRIMARY KEY)")
    yield lambda: [name for (name,) in connection.execute("SELECT name FROM users ORDER BY name")]
    connection.close()


def done(claim):
    return Settlement(
        lease=claim.lease,
        results=tuple(
            NewResult(
                job=chunk.job,
                kind=ResultKind.SUCCEEDED,
                places=chunk.places,
                items=chunk.items,
                body=chunk.body,
            )
            for chunk in claim.chunks
        ),
    )


async def test_what_the_handler_wrote_and_its_settlement_commit_together(store, new, claim, users):
    await store.enqueue([new(3)])
    taken = await claim()
    async with store.transaction(taken) as transaction:
        transaction.connection.execute("INSERT INTO users VALUES ('a')")
        assert await transaction.settle(done(taken)) is Settled.SETTLED
        assert users() == []
        assert (await store.job(taken.chunks[0].job)).counts.running == 3
    assert users() == ["a"]
    assert (await store.job(taken.chunks[0].job)).counts.succeeded == 3
    assert await store.settle(done(taken)) is Settled.DUPLICATE


async def test_an_error_undoes_both(store, new, claim, users):
    await store.enqueue([new(3)])
    taken = await claim()

    async def fail():
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("INSERT INTO users VALUES ('a')")
            await transaction.settle(done(taken))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert users() == []
    assert await store.settle(done(taken)) is Settled.SETTLED


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
async def test_a_long_transaction_costs_nobody_in_its_process_a_lease(store, new, claim, users, error):
    await store.enqueue([new(1), new(1, queue="letters")])
    taken = await claim()
    other = await store.claim("letters", worker="w", max_items=9, max_bytes=1 << 20, seconds=0.0)

    async def work():
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("INSERT INTO users VALUES ('a')")
            assert await store.renew([taken.lease, other.lease], 60.0) == set()
            await transaction.settle(done(taken))
            if error:
                raise error

    with contextlib.suppress(ZeroDivisionError):
        await work()
    assert users() == ([] if error else ["a"])
    assert await store.take_over(worker="w2", seconds=60) is None
    assert await store.settle(done(other)) is Settled.SETTLED
    assert await store.renew([taken.lease], 60.0) == (set() if error else {taken.lease})


async def test_nested_transactions_are_savepoints(store, new, claim, users):
    await store.enqueue([new(1)])
    taken = await claim()
    async with store.transaction(taken) as transaction:
        for name in "aba":
            try:
                with transaction.connection:
                    transaction.connection.execute("INSERT INTO users VALUES (?)", (name,))
            except apsw.ConstraintError:
                pass
        await transaction.settle(done(taken))
    assert users() == ["a", "b"]


async def test_a_lease_that_was_lost_opens_none(store, new, claim):
    await store.enqueue([new(1)])
    dead = await claim(seconds=0)
    taken = await store.take_over(worker="r", seconds=60)
    for lost in (dead, taken):
        await store.settle(done(taken))
        with pytest.raises(LeaseLost):
            async with store.transaction(lost):
                pytest.fail("it has no lease")
    await store.enqueue([new(1)])


async def test_a_lease_that_expired_still_counts_while_nobody_took_it(store, new, claim):
    await store.enqueue([new(1)])
    taken = await claim(seconds=0)
    async with store.transaction(taken) as transaction:
        assert await transaction.settle(done(taken)) is Settled.SETTLED


async def test_others_wait_for_the_lock_and_go_on(store, new, claim, users):
    await store.enqueue([new(2, chunk=1)])
    first, second = await claim(1), await claim(1)

    async def run(taken, name):
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("INSERT INTO users VALUES (?)", (name,))
            waiting = asyncio.create_task(store.enqueue([new(1)]))
            await asyncio.sleep(0)
            await transaction.settle(done(taken))
            assert not waiting.done()
        return await waiting

    found = await asyncio.gather(run(first, "a"), run(second, "b"))
    assert all(each.created for (each,) in found)
    assert users() == ["a", "b"]


async def test_a_cancelled_handler_undoes_all_and_frees_the_lock(store, new, claim, users):
    await store.enqueue([new(1)])
    taken = await claim()
    inside = asyncio.Event()

    async def hang():
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("INSERT INTO users VALUES ('a')")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert users() == []
    await store.enqueue([new(1)])


async def test_cancelling_at_any_step_leaves_all_or_nothing(store, new, claim, users):
    async def write(taken, name):
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("INSERT INTO users VALUES (?)", (name,))
            await transaction.settle(done(taken))

    for turns in range(25):
        await store.enqueue([new(1, priority=0)])
        taken = await claim(1)
        task = asyncio.create_task(write(taken, f"{turns:02}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        is_done = await store.settle(done(taken)) is Settled.DUPLICATE
        assert is_done == (f"{turns:02}" in users())


async def test_a_handler_that_commits_by_itself_is_told(store, new, claim, users):
    await store.enqueue([new(1)])
    taken = await claim()

    async def commit(*, settles):
        async with store.transaction(taken) as transaction:
            transaction.connection.execute("COMMIT")
            if settles:
                await transaction.settle(done(taken))

    for settles in (True, False):
        with pytest.raises(StoreError, match="leave that to Gristmill"):
            await commit(settles=settles)
    assert await store.settle(done(taken)) is Settled.SETTLED


async def test_jobs_are_enqueued_in_a_transaction_of_the_users(store, new, path, users):
    mine = apsw.Connection(str(path))
    with mine:
        mine.execute("INSERT INTO users VALUES ('a')")
        (found,) = await store.enqueue([new(2)], connection=mine)
        assert found.created
        assert await store.job(found.job) is None
    assert (await store.job(found.job)).counts.total == 2
    mine.execute("BEGIN IMMEDIATE")
    (lost,) = await store.enqueue([new(2)], connection=mine)
    mine.execute("ROLLBACK")
    assert await store.job(lost.job) is None
    mine.close()


async def test_a_connection_that_cannot_be_meant_is_refused(store, new, path, tmp_path):
    other, mine, memory = (
        apsw.Connection(str(tmp_path / "other.db")),
        apsw.Connection(str(path)),
        apsw.Connection(":memory:"),
    )
    for connection, text in (
        ("sqlite:///queue.db", "is an apsw.Connection, not str"),
        (other, "the store's file"),
        (memory, "the store's file"),
        (mine, "has no transaction"),
    ):
        with pytest.raises(ConfigurationError, match=text):
            await store.enqueue([new(1)], connection=connection)
    for connection in (other, mine, memory):
        connection.close()


async def test_work_that_a_transaction_left_wakes_who_waits(store, new, claim):
    job, chunks = new(2, chunk=1, key="a")
    await store.enqueue([(job, chunks)])
    taken = await claim()
    waiting = asyncio.create_task(store.wait(["numbers"], 50))
    async with store.transaction(taken) as transaction:
        await transaction.settle(done(taken))
    await waiting
    assert (await claim()).items == 1
