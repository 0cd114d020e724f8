"""A database that refuses the outcomes of a batch for good: a constraint, a value that it cannot hold."""

from __future__ import annotations

from typing import Any

import pytest

_SQLITE = """
CREATE TRIGGER refuses BEFORE INSERT ON gristmill_result
WHEN NEW.kind = 'succeeded' AND NEW.job = (SELECT number FROM gristmill_job WHERE id = '{job}')
BEGIN SELECT RAISE(ABORT, 'this is not held'); END
"""
_POSTGRES = """
ALTER TABLE gristmill.result ADD CONSTRAINT "this is not held" CHECK (kind <> 'succeeded' OR job <> '{job}')
"""


async def _refuse(url: str, job: str) -> None:
    """Make the database take no value of *job*."""
    if url.startswith("sqlite"):
        import apsw  # noqa: PLC0415 - only where a test needs it

        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(60_000)
        connection.execute(_SQLITE.format(job=job))
        connection.close()
        return
    import asyncpg  # noqa: PLC0415 - as above

    other = await asyncpg.connect(url)
    await other.execute(_POSTGRES.format(job=job))
    await other.close()


@pytest.mark.parametrize("store_kind", ["sqlite", "postgres"], indirect=True)
async def test_outcomes_that_are_refused_for_good_fail_their_batch_and_the_worker_goes_on(mill: Any) -> None:
    ref = await mill.jobs.enqueue("numbers", range(10))
    await _refuse(mill.url, ref.id)
    worker = await mill.worker("--size", "5")
    done = await mill.done(ref.id)
    assert (done.counts.succeeded, done.counts.failed) == (0, 10)
    (group,) = await mill.jobs.dead()
    assert (group.code, group.items) == ("store_error", 10)
    assert "this is not held" in str(group.error)
    assert mill.seen() == dict.fromkeys(range(10), 1)
    later = await mill.jobs.enqueue("numbers", range(10, 20))
    assert (await mill.done(later.id)).counts.succeeded == 10
    assert worker.process.returncode is None
