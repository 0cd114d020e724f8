"""What a handler writes in its batch's transaction is there exactly once; what was acknowledged is there."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.errors import JobNotFound


@pytest.fixture(params=("sqlite", "postgres"))
def store_kind(request: pytest.FixtureRequest) -> str:
    """The stores that have transactions."""
    kind: str = request.param
    return kind


async def _execute(url: str, statement: str) -> list[tuple[Any, ...]]:
    if url.startswith("sqlite"):
        import apsw  # noqa: PLC0415 - only where a test needs it

        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(5000)
        rows = list(connection.execute(statement))
        connection.close()
        return rows
    import asyncpg  # noqa: PLC0415 - as above

    link = await asyncpg.connect(url)
    found = [tuple(row) for row in await link.fetch(statement)]
    await link.close()
    return found


async def test_a_kill_between_the_effects_and_the_settlement_leaves_no_effects(mill: Any) -> None:
    await mill.jobs.open()
    await _execute(mill.url, "CREATE TABLE effect (item INTEGER)")
    ref = await mill.jobs.enqueue("numbers", range(20))
    first = await mill.worker("--mode", "transaction", "--lease", "1")
    await first.says("holding")
    await first.kill()
    assert await _execute(mill.url, "SELECT item FROM effect") == []
    mill.go()
    await mill.worker("--mode", "transaction", "--lease", "1")
    assert (await mill.done(ref.id)).counts.succeeded == 20
    effects = await _execute(mill.url, "SELECT item FROM effect ORDER BY item")
    assert effects == [(item,) for item in range(20)]
    assert set(mill.seen().values()) == {2}


async def test_an_item_that_fails_alone_leaves_no_rows_and_its_neighbours_commit_with_theirs(
    mill: Any,
) -> None:
    await mill.jobs.open()
    await _execute(mill.url, "CREATE TABLE effect (item INTEGER)")
    await _execute(mill.url, "CREATE TABLE strict (item INTEGER CHECK (item <> 13))")
    ref = await mill.jobs.enqueue("numbers", range(20))
    await mill.worker("--mode", "savepoints")
    done = await mill.done(ref.id)
    assert (done.counts.succeeded, done.counts.failed) == (19, 1)
    expected = [(item,) for item in range(20) if item != 13]
    for table in ("effect", "strict"):
        assert await _execute(mill.url, f"SELECT item FROM {table} ORDER BY item") == expected  # noqa: S608 - of the test's own
    (dead,) = [item async for item in mill.jobs.results(ref.id) if item.failure]
    assert (dead.place, dead.failure.code) == (13, "refused")
    assert mill.seen() == dict.fromkeys(range(20), 1)


@contextlib.asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Any]:
    """Yield a connection of the user's own, with which both drivers execute alike."""
    if url.startswith("sqlite"):
        import apsw  # noqa: PLC0415 - only where a test needs it

        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(5000)
        yield connection
        connection.close()
    else:
        import asyncpg  # noqa: PLC0415 - as above

        link = await asyncpg.connect(url)
        yield link
        await link.close()


async def _say(connection: Any, statement: str) -> None:
    said = connection.execute(statement)
    if inspect.isawaitable(said):
        await said


async def test_a_job_of_the_users_own_transaction_runs_after_its_commit_and_never_after_its_rollback(
    mill: Any,
) -> None:
    await mill.jobs.open()
    await _execute(mill.url, "CREATE TABLE effect (item INTEGER)")
    begin = "BEGIN IMMEDIATE" if mill.url.startswith("sqlite") else "BEGIN"
    await mill.worker()
    async with _connection(mill.url) as connection:
        await _say(connection, begin)
        await _say(connection, "INSERT INTO effect VALUES (1)")
        undone = await mill.jobs.enqueue("numbers", range(100, 110), connection=connection)
        await _say(connection, "ROLLBACK")
        await _say(connection, begin)
        await _say(connection, "INSERT INTO effect VALUES (2)")
        kept = await mill.jobs.enqueue("numbers", range(10), connection=connection)
        with pytest.raises(JobNotFound):
            await kept.status()
        assert mill.seen() == {}
        await _say(connection, "COMMIT")
    assert (await mill.done(kept.id)).counts.succeeded == 10
    with pytest.raises(JobNotFound):
        await undone.status()
    assert mill.seen() == dict.fromkeys(range(10), 1)
    assert await _execute(mill.url, "SELECT item FROM effect") == [(2,)]


@pytest.mark.parametrize("store_kind", ["sqlite", "postgres", "redis"], indirect=False)
async def test_every_job_that_was_acknowledged_before_a_kill_is_there(
    store_kind: str, store_url: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from gristmill.queue.url import store_from  # noqa: PLC0415 - only here

    async with contextlib.AsyncExitStack() as stack:
        url = await store_url(store_kind, request, tmp_path, stack)
        script = str(Path(__file__).with_name("enqueuer.py"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, script, url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        said = [(await process.stdout.readline()).decode().strip() for _ in range(50)]
        process.kill()
        said += [
            line.strip()
            for line in (await process.stdout.read()).decode().splitlines(keepends=True)
            if line.endswith("\n")
        ]
        await process.wait()
        store = store_from(url)
        await store.open()
        stack.push_async_callback(store.close)
        for job in said:
            found = await store.job(job)
            assert found is not None
            assert (found.counts.total, found.counts.queued) == (2, 2)
        page = await store.jobs(limit=100_000)
        assert all(
            job.counts.total == job.counts.queued == 2 for job in page.jobs
        )  # the one in flight: whole or not
        assert len(page.jobs) - len(said) in (0, 1)
