"""How a claim finds its chunks, however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from gristmill.model.lease import Idle
from gristmill.queue.postgres.address import address_of
from gristmill.queue.postgres.claiming import Density
from gristmill.queue.postgres.connections import Connections
from gristmill.queue.postgres.statements import statements

BACKLOG = 200_000
LOOKED_AT = 20

FILL = """
INSERT INTO gristmill.chunk (
    queue, state, rank, due_at, job, items, size, attempt, crashes, keep_results, places, body
)
SELECT 'numbers', $2, 1000 + number % 7919, $3, 'job_' || number % 100, 500, 3, 0, 0, true, '[[0,9]]', '[1]'
FROM generate_series(1, $1::integer) AS number
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def assert_bounded(explained: str) -> None:
    """See that the plan that ran touched about as many rows of chunks as were looked at."""
    plan = json.loads(explained)[0]["Plan"]
    for node in nodes(plan):
        rows = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        assert rows <= 2 * LOOKED_AT, node
        assert node["Node Type"] != "Seq Scan" or node["Relation Name"] != "chunk", node


def claim(seconds: float = 60.0) -> tuple[Any, ...]:
    return ("numbers", "w", seconds, 1000, 1 << 30, LOOKED_AT, False)


async def explain_prepared(connection: asyncpg.Connection, before: int = 6) -> str:
    """Explain the claim as a prepared statement whose plan was made once and for all."""
    values = "'numbers', 'w', 60.0, 1000, 1000000, 20, false"
    for _ in range(before):
        await connection.fetch(f"EXECUTE claim ({values})")
    return await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE claim ({values})")


@pytest.mark.parametrize("state", ["ready", "scheduled", "blocked"])
async def test_a_claim_reads_no_more_of_a_backlog_than_it_takes(
    store: Any, url: str, sql: asyncpg.Connection, state: str
) -> None:
    await sql.execute(FILL, BACKLOG, state, 1.0)
    connection = await Connections(address_of(url), size=1).connect()
    text = "EXPLAIN (ANALYZE, FORMAT JSON) " + statements("gristmill")["claim"]
    assert_bounded(await connection.fetchval(text, *claim()))
    await connection.execute("ANALYZE")
    assert_bounded(await connection.fetchval(text, *claim()))
    await connection.close()


async def test_nor_with_a_plan_that_was_made_when_the_queue_was_empty(
    store: Any, url: str, sql: asyncpg.Connection
) -> None:
    connection = await Connections(address_of(url), size=1).connect()
    await sql.execute("VACUUM ANALYZE gristmill.chunk")
    kinds = "text, text, float8, bigint, bigint, bigint, boolean"
    await connection.execute(f"PREPARE claim ({kinds}) AS " + statements("gristmill")["claim"])
    assert_bounded(await explain_prepared(connection))
    await sql.execute(FILL, BACKLOG, "ready", 1.0)
    assert_bounded(await explain_prepared(connection, before=0))
    await connection.close()


async def test_nor_without_settings_of_the_session_which_pgbouncer_would_refuse(
    store: Any, sql: asyncpg.Connection
) -> None:
    await sql.execute(FILL, BACKLOG, "ready", 1.0)
    text = "EXPLAIN (ANALYZE, FORMAT JSON) " + statements("gristmill")["claim"]
    assert_bounded(await sql.fetchval(text, *claim()))
    await sql.execute("ANALYZE")
    assert_bounded(await sql.fetchval(text, *claim()))


async def test_a_claim_learns_how_many_chunks_to_look_at(worker: Any, sql: asyncpg.Connection) -> None:
    await worker.submit(5000, chunk=500)
    assert len((await worker.claim(items=500)).chunks) == 1
    async with sql.transaction():
        assert len((await worker.claim(items=500)).chunks) == 1
        locked = await sql.fetch(
            "SELECT id FROM gristmill.chunk WHERE state = 'ready' FOR UPDATE SKIP LOCKED"
        )
        assert len(locked) == 8


async def test_single_items_fill_a_claim_after_a_few(worker: Any) -> None:
    for _ in range(5):
        await worker.store.enqueue([worker.new() for _ in range(500)])
    sizes = [(await worker.claim(items=500)).items for _ in range(4)]
    assert sizes[0] >= 60
    assert sizes[-1] == 500


def test_density_asks_for_no_more_than_fits() -> None:
    density = Density()
    assert density.chunks_for(10, 1 << 20) == 11
    density.saw(looked_at=64, taken=1, items=500, size=50_000)
    assert density.chunks_for(500, 1 << 30) == 3
    assert density.chunks_for(5000, 1 << 30) == 12
    assert density.chunks_for(5000, 100_000) == 4
    assert density.chunks_for(10**9, 1 << 60) == 1000


async def test_what_others_are_claiming_is_looked_for_again_soon(
    worker: Any, sql: asyncpg.Connection
) -> None:
    await worker.submit(1)
    async with sql.transaction():
        await sql.fetch("SELECT FROM gristmill.chunk FOR UPDATE")
        idle = await worker.try_claim()
        assert isinstance(idle, Idle)
        assert idle.due_in is not None
        assert 0 < idle.due_in < 1
    await worker.claim()


async def test_many_that_become_due_at_once_are_claimed_in_bounded_steps(
    worker: Any, sql: asyncpg.Connection
) -> None:
    await worker.store.enqueue([worker.new(delay=3600) for _ in range(300)])
    await sql.execute("UPDATE gristmill.chunk SET due_at = due_at - 7200, rank = rank - 7200")
    claim = await worker.claim(items=100)
    left = await sql.fetchval("SELECT count(*) FROM gristmill.chunk WHERE state = 'scheduled'")
    assert claim.more
    assert 0 < left < 300
    assert await worker.drain() == 300 - claim.items
