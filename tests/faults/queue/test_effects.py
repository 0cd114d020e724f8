"""What a handler writes in its batch's transaction is there exactly once; what was acknowledged is there."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)


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


@pytest.mark.parametrize("store_kind", ["sqlite", "postgres", "redis"], indirect=False)
async def test_every_job_that_was_acknowledged_before_a_kill_is_there(
    store_kind: str, store_url: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    import contextlib  # noqa: PLC0415 - only here

    from gristmill.queue.url import store_from  # noqa: PLC0415 - as above

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
