"""Batches in a transaction that the store does not take, by the fault of the handler or of the store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gristmill import Failed, Retry, batch
from gristmill.errors import StoreUnavailable
from gristmill.model.lease import Claim
from gristmill.queue.options import QueueOptions
from gristmill.queue.service import Jobs

TABLES = (
    "CREATE TABLE IF NOT EXISTS parent (id integer PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS child (id integer REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)",
)


async def run(connection: Any, statement: str) -> None:
    """Run *statement* on an ``apsw`` or an ``asyncpg`` connection."""
    found = connection.execute(statement)
    if hasattr(found, "__await__"):
        await found


def no_rule(error: Exception) -> bool:
    """Tell nothing: a ``Retry(on=...)`` that raises."""
    raise LookupError(f"no rule for {error}")


class Ledger:
    """Jobs whose handler does what a test says on the connection of its batch."""

    def __init__(self, url: str) -> None:
        self.seen: list[tuple[int, list[int]]] = []
        self.behave: Any = None

        @batch(name="ledger", max_size=8, on_error="bisect")
        async def ledger(items: list[int], ctx: Any) -> list[int]:
            self.seen.append((ctx.attempt, list(items)))
            await self.behave(ctx.transaction, items)
            return items

        @batch(name="ruled", max_size=8)
        async def ruled(items: list[int], ctx: Any) -> list[int | Failed]:
            await self.behave(ctx.transaction, items)
            return [Failed("busy", "busy", retryable=True) if item < 0 else item for item in items]

        retry = Retry(attempts=2, base=0.0)
        self.jobs = Jobs(
            [ledger, ruled],
            url,
            options={
                "ledger": QueueOptions(transactional=True, retry=retry),
                "ruled": QueueOptions(transactional=True, retry=replace(retry, on=no_rule)),
            },
        )


@pytest.fixture(params=("sqlite", "postgres"))
async def ledger(request: pytest.FixtureRequest, store_url: Any, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with contextlib.AsyncExitStack() as stack:
        made = Ledger(await store_url(request.param, request, tmp_path, stack))
        stack.push_async_callback(made.jobs.stop, 0)
        yield made


async def test_what_is_refused_at_the_commit_costs_the_item_that_did_it_its_attempts(ledger: Ledger) -> None:
    async def behave(connection: Any, items: list[int]) -> None:
        for statement in TABLES:
            await run(connection, statement)
        for item in items:
            if item != 5:
                await run(connection, f"INSERT INTO parent VALUES ({item})")  # noqa: S608 - its own number
            await run(connection, f"INSERT INTO child VALUES ({item})")  # noqa: S608 - its own number

    ledger.behave = behave
    ref = await ledger.jobs.enqueue("ledger", range(8))
    await ledger.jobs.start()
    counts = (await ref.wait(30)).counts
    assert (counts.succeeded, counts.failed) == (7, 1)
    assert [attempt for attempt, items in ledger.seen if items == [5]] == [1, 2]
    (group,) = await ledger.jobs.dead()
    assert group.code == "handler_error"
    assert "foreign key" in str(group.error).lower()


async def test_a_handler_that_goes_on_in_a_broken_transaction_fails(ledger: Ledger) -> None:
    async def behave(connection: Any, _items: list[int]) -> None:
        with contextlib.suppress(Exception):
            await run(connection, "INSERT INTO nowhere VALUES (1)")  # PostgreSQL takes nothing after it
        if hasattr(connection, "in_transaction"):
            await run(connection, "ROLLBACK")  # SQLite does

    ledger.behave = behave
    ref = await ledger.jobs.enqueue("ledger", [1])
    await ledger.jobs.start()
    assert (await ref.wait(30)).counts.failed == 1
    assert [attempt for attempt, _ in ledger.seen] == [1, 2]


async def test_a_store_that_goes_away_at_the_commit_costs_no_attempt(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = ledger.jobs.store.transaction
    waits: list[bool] = []

    @contextlib.asynccontextmanager
    async def transaction(claim: Claim) -> AsyncIterator[Any]:
        lane, _ = ledger.jobs.worker.lanes  # type: ignore[union-attr]  # it runs
        waits.append(lane._rollbacks.is_failing)  # noqa: SLF001 - that it waited between them
        with contextlib.suppress(ZeroDivisionError):
            async with opened(claim) as found:
                yield found
                if len(waits) < 3:
                    raise ZeroDivisionError  # rolls it back
        if len(waits) < 3:
            raise StoreUnavailable("away")

    async def behave(_connection: Any, _items: list[int]) -> None:
        pass

    ledger.behave = behave
    monkeypatch.setattr(ledger.jobs.store, "transaction", transaction)
    ref = await ledger.jobs.enqueue("ledger", [1])
    await ledger.jobs.start()
    assert (await ref.wait(30)).counts.succeeded == 1
    assert [attempt for attempt, _ in ledger.seen] == [1, 1, 1]
    assert waits == [False, True, True]


async def test_a_handler_that_breaks_its_connection_each_time_fails(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.queue.lane._ROLLBACKS", 2)

    async def behave(connection: Any, _items: list[int]) -> None:
        closing = connection.close()
        if hasattr(closing, "__await__"):
            await closing

    ledger.behave = behave
    ref = await ledger.jobs.enqueue("ledger", [1])
    await ledger.jobs.start()
    assert (await ref.wait(30)).counts.failed == 1
    attempts = [attempt for attempt, _ in ledger.seen]
    assert (attempts[-1], attempts[0]) == (2, 1)


async def test_a_retry_rule_that_raises_keeps_what_succeeded_with_its_rows(ledger: Ledger) -> None:
    async def behave(connection: Any, items: list[int]) -> None:
        await run(connection, TABLES[0])
        for item in items:
            await run(connection, f"INSERT INTO parent VALUES ({item})")  # noqa: S608 - its own number

    ledger.behave = behave
    mixed = await ledger.jobs.enqueue("ruled", [1, -1, 2])
    await ledger.jobs.start()
    counts = (await mixed.wait(60)).counts
    assert (counts.succeeded, counts.failed) == (2, 1)
    bad = await ledger.jobs.enqueue("ruled", [-3, -4])
    assert (await bad.wait(60)).counts.failed == 2
    again = await ledger.jobs.enqueue("ruled", [-3, 4])  # no row of -3 stayed: it could not come twice
    assert (await again.wait(60)).counts.succeeded == 1
    (group,) = await ledger.jobs.dead()
    assert (group.code, group.items) == ("internal_error", 4)
