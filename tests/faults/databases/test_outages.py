"""Servers that restart in the middle of a batch, connections that die, pools that run dry, storms."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections import Counter
from typing import Any, Self

import asyncpg
import pytest

from gristmill import Failed, batch
from gristmill.databases import BulkLoader, BulkWriter, Pool
from gristmill.errors import ItemFailed

END_WAITING = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
END_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


def codes(outcomes: list[Any]) -> list[Any]:
    return [each.code if isinstance(each, Failed) else "ok" for each in outcomes]


async def at_last(writer: BulkWriter, rows: list[dict[str, str]]) -> list[Any]:
    """Insert *rows* by a pool with little patience, however slow the machine is."""
    while "pool_timeout" in codes(found := await writer.insert(rows)):
        pass
    return found


class Blocker:
    """A transaction that has written an email, so that others wait for it."""

    def __init__(self, server: Any, email: str) -> None:
        self._server = server
        self._email = email
        self.connection: Any = None

    async def __aenter__(self) -> Self:
        self.connection = await asyncpg.connect(self._server.url)
        await self.connection.execute("BEGIN")
        await self.connection.execute("INSERT INTO users (email) VALUES ($1)", self._email)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.connection.is_closed():
            await self.connection.execute("ROLLBACK")
            await self.connection.close()


async def test_a_restart_between_two_batches_is_not_noticed(server: Any) -> None:
    async with Pool(server.url, size=4) as pool:
        writer, loader = BulkWriter(pool, "users"), BulkLoader(pool, "users", returning=("email",))
        rows = [[{"email": f"{n} {m}"} for m in range(3)] for n in range(4)]
        await asyncio.gather(*(writer.insert(each) for each in rows))
        assert pool.stats().open > 0
        server.stop()
        server.start()
        assert codes(await writer.insert([{"email": "after"}])) == ["ok"]
        assert await loader.load(1) is not None
    assert len(await server.run("SELECT FROM users")) == 13


@pytest.mark.parametrize("fresh", [0.0, 600.0])
async def test_while_the_server_is_down_every_item_fails_and_may_be_tried_again(
    server: Any, fresh: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whether the server is asked before the batch is sent, or only heard: in neither case does the batch
    # go to a connection that has ended.
    monkeypatch.setattr("gristmill.databases.postgres.connections._FRESH", fresh)
    async with Pool(server.url) as pool:
        writer, loader = BulkWriter(pool, "users"), BulkLoader(pool, "users", returning=("email",))
        await writer.insert([{"email": "before"}])
        await loader.load(1)
        server.stop()
        try:
            down = await writer.insert([{"email": "a"}, {"email": "b"}])
            with pytest.raises(ItemFailed) as caught:
                await loader.load(1)
        finally:
            server.start()
        assert codes(down) == ["database_unavailable"] * 2
        assert all(each.retryable and "socket" not in str(each.error) for each in down if each)
        assert (caught.value.code, caught.value.retryable) == ("database_unavailable", True)
        assert codes(await writer.insert([{"email": "a"}, {"email": "b"}])) == ["ok", "ok"]
    assert await server.run("SELECT email FROM users ORDER BY email") == [("a",), ("b",), ("before",)]


async def test_an_insert_cut_off_while_it_commits_is_unknown_and_not_done_twice(server: Any) -> None:
    async with BulkWriter(server.url, "users") as writer:
        await writer.insert([{"email": "first"}])
        async with Blocker(server, "x"):
            task = asyncio.ensure_future(writer.insert([{"email": "y"}, {"email": "x"}]))
            await server.crash()
            stored = await task
        assert codes(stored) == ["commit_unknown"] * 2
        assert not any(each.retryable for each in stored if each)
        assert writer.stats().lost == 1


async def test_a_batch_cut_off_before_its_commit_is_done_again(server: Any) -> None:
    async with BulkWriter(server.url, "users") as writer:
        await writer.insert([{"email": "first"}])
        rows = [{"email": "first"}, {"email": "y"}, {"email": "x"}]  # the first one is refused: a transaction
        async with Blocker(server, "x"):
            task = asyncio.ensure_future(writer.insert(rows))
            await server.waits()
            await server.run(END_WAITING)
            await server.waits()
        assert codes(await task) == ["unique_violation", "ok", "ok"]
    assert len(await server.run("SELECT FROM users")) == 3


async def test_an_upsert_is_done_again_over_a_restart(server: Any) -> None:
    async with Pool(server.url, connect_timeout=30, acquire_timeout=30) as pool:
        writer = BulkWriter(pool, "users")
        await writer.insert([{"email": "first"}])
        blocker = Blocker(server, "x")
        async with blocker:
            task = asyncio.ensure_future(writer.upsert([{"email": "x", "n": 1}], key=("email",)))
            await server.waits()
            blocker.connection.terminate()  # which rolls back: the upsert goes on
            assert codes(await task) == ["ok"]
        async with Blocker(server, "z"):
            task = asyncio.ensure_future(writer.upsert([{"email": "z", "n": 2}], key=("email",)))
            await server.waits()
            await server.run(END_WAITING)
            await server.waits()
        assert codes(await task) == ["ok"]
    assert await server.run("SELECT email, n FROM users WHERE n > 0 ORDER BY n") == [("x", 1), ("z", 2)]


async def test_a_dead_connection_in_the_pool_costs_nobody_an_item(server: Any) -> None:
    async with Pool(server.url, size=5) as pool:
        writer = BulkWriter(pool, "users")
        await asyncio.gather(*(writer.insert([{"email": f"{n}"}]) for n in range(5)))
        await server.run(END_OTHERS)
        while pool.stats().open:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0)
        found = await asyncio.gather(*(writer.insert([{"email": f"again {n}"}]) for n in range(5)))
    assert found == [[None]] * 5


async def test_a_connection_that_died_unnoticed_while_idle_is_replaced(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Pool(server.url, size=1) as pool:
        writer = BulkWriter(pool, "users")
        await writer.insert([{"email": "first"}])
        monkeypatch.setattr("gristmill.databases.postgres.connections._FRESH", 0.0)
        assert await writer.insert([{"email": "second"}]) == [None]
        assert pool.stats().lost == 0
        transport = pool.backend._connections.pools[0]._holders[0]._con._transport  # type: ignore[attr-defined]  # noqa: SLF001
        transport.pause_reading()  # the end of the connection is not heard of
        await server.run(END_OTHERS)
        transport.resume_reading()
        assert await writer.insert([{"email": "next"}]) == [None]
        assert pool.stats().lost == 1


async def test_a_pool_that_runs_dry_fails_items_in_time_and_serves_again(server: Any) -> None:
    async with Pool(server.url, size=1, acquire_timeout=0.05) as pool:
        writer = BulkWriter(pool, "users")
        await at_last(writer, [{"email": "first"}])
        async with Blocker(server, "x"):
            holds = asyncio.ensure_future(at_last(writer, [{"email": "x"}]))
            await server.waits()
            before = pool.stats().timeouts
            dry = await writer.insert([{"email": "a"}, {"email": "b"}])
            assert pool.stats().in_use == 1
        assert codes(dry) == ["pool_timeout"] * 2
        assert all(each.retryable for each in dry if each)
        assert await holds == [None]
        assert pool.stats().timeouts == before + 1
        assert await at_last(writer, [{"email": "a"}, {"email": "b"}]) == [None, None]


async def test_a_handler_that_retries_outlasts_a_dry_pool(server: Any) -> None:
    from gristmill import Retry  # noqa: PLC0415 - only here

    async with Pool(server.url, size=1, acquire_timeout=0.02) as pool:
        writer = BulkWriter(pool, "users")
        await at_last(writer, [{"email": "first"}])

        @batch(retry=Retry(attempts=10_000, base=0.01, cap=0.05))
        async def create(rows: list[dict[str, str]]) -> list[Any]:
            return await writer.insert(rows, returning=("email",))

        async with Blocker(server, "x"):
            holds = asyncio.ensure_future(at_last(writer, [{"email": "x"}]))
            await server.waits()
            before = pool.stats().timeouts
            waiting = asyncio.ensure_future(create.many([{"email": "a"}, {"email": "b"}]))
            while pool.stats().timeouts == before:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
        assert await waiting == [{"email": "a"}, {"email": "b"}]
        await holds


async def test_a_cancelled_batch_leaves_no_transaction_and_no_row_behind(server: Any) -> None:
    async with Pool(server.url, size=1) as pool:
        writer = BulkWriter(pool, "users")
        await writer.insert([{"email": "first"}])
        async with Blocker(server, "x"):
            task = asyncio.ensure_future(writer.insert([{"email": "first"}, {"email": "y"}, {"email": "x"}]))
            await server.waits()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert codes(await writer.insert([{"email": "y"}])) == ["ok"]
        assert await server.run(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        ) == [(0,)]
    assert len(await server.run("SELECT FROM users")) == 2


async def test_a_caller_that_is_cancelled_twice_takes_no_connection_with_it(server: Any) -> None:
    async with Pool(server.url, size=1, acquire_timeout=5) as pool:
        writer = BulkWriter(pool, "users")
        await writer.insert([{"email": "first"}])
        async with Blocker(server, "x"):
            task = asyncio.ensure_future(writer.insert([{"email": "first"}, {"email": "x"}]))
            await server.waits()
            task.cancel()
            await asyncio.sleep(0)  # it has begun to roll back
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert codes(await writer.insert([{"email": "y"}])) == ["ok"]
        assert pool.stats().in_use == 0


async def test_event_loops_that_ended_keep_no_connections(server: Any) -> None:
    pool = Pool(server.url)

    def run() -> None:
        asyncio.run(BulkWriter(pool, "users").insert([{"n": 1}]))  # type: ignore[arg-type]

    with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # that nobody closed them
        for _ in range(5):
            await asyncio.to_thread(run)
        assert pool.stats().open == 1
        await pool.aclose()
        gc.collect()


async def test_a_storm_of_conflicts_stores_each_email_once_and_every_item_has_its_answer(server: Any) -> None:
    chance = random.Random(5)
    batches = [[{"email": f"{chance.randrange(300)}"} for _ in range(40)] for _ in range(40)]
    async with Pool(f"{server.url}&deadlock_timeout=20ms", size=8, acquire_timeout=60) as pool:
        writer = BulkWriter(pool, "users")
        pending = dict(enumerate(batches))
        won: Counter[str] = Counter()
        while pending:
            answers = await asyncio.gather(*(writer.insert(rows) for rows in pending.values()))
            again: dict[int, list[dict[str, str]]] = {}
            for number, outcomes in zip(list(pending), answers, strict=True):
                found = codes(outcomes)
                assert set(found) <= {"ok", "unique_violation"} or set(found) == {"database_conflict"}
                if "database_conflict" in found:
                    again[number] = pending[number]
                won.update(
                    row["email"] for row, code in zip(pending[number], found, strict=True) if code == "ok"
                )
            pending = again
    assert set(won.values()) == {1}
    asked = {row["email"] for rows in batches for row in rows}
    assert set(won) == asked == {email for (email,) in await server.run("SELECT email FROM users")}


async def test_upserts_of_the_same_rows_in_any_order_do_not_deadlock(server: Any) -> None:
    chance = random.Random(6)
    async with Pool(server.url, size=8, acquire_timeout=60) as pool:
        writer = BulkWriter(pool, "users")
        rows = [[{"email": f"{n}", "n": turn} for n in chance.sample(range(200), 200)] for turn in range(24)]
        found = await asyncio.gather(*(writer.upsert(each, key=("email",)) for each in rows))
        round_trips = pool.stats().round_trips
    assert all(codes(each) == ["ok"] * 200 for each in found)
    assert len(await server.run("SELECT DISTINCT n FROM users")) == 1  # the last batch, whole
    assert round_trips == len(rows)  # no transaction was tried twice
