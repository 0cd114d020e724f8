"""Others who hold an old state of the store, or its lock, while the queue works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gristmill.errors import StoreUnavailable
from gristmill.queue.sqlite import database


@pytest.mark.parametrize("store_kind", ["postgres"])
async def test_work_goes_on_beside_an_idle_transaction_and_its_rows_are_freed_after_it(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncpg  # noqa: PLC0415 - only where a test needs it

    await mill.jobs.open()
    await mill.worker("--size", "20")
    idle, other = await asyncpg.connect(mill.url), await asyncpg.connect(mill.url)
    snapshot = idle.transaction(isolation="repeatable_read")
    await snapshot.start()
    assert await idle.fetchval("SELECT count(*) FROM gristmill.job") == 0
    holder = f"process {idle.get_server_pid()} ("
    assert await mill.jobs.store.hindrances() == []
    monkeypatch.setattr("gristmill.queue.postgres.store.SNAPSHOT", 0.0)
    assert any(holder in each.text for each in await mill.jobs.store.hindrances())
    await _turn_over(mill, 60)
    # Nothing that was done can be cleared away, and everything is done all the same.
    await other.execute("VACUUM gristmill.chunk")
    assert await _dead_rows(other) >= 60
    await _turn_over(mill, 60)
    assert await idle.fetchval("SELECT count(*) FROM gristmill.job") == 0
    await snapshot.rollback()
    assert not any(holder in each.text for each in await mill.jobs.store.hindrances())
    await _turn_over(mill, 10)
    while await _dead_rows(other) >= 60:
        await other.execute("VACUUM gristmill.chunk")
    await _turn_over(mill, 10)
    await idle.close()
    await other.close()


async def _turn_over(mill: Any, jobs: int) -> None:
    """Put some jobs through the queue."""
    refs = [await mill.jobs.enqueue("numbers", range(100)) for _ in range(jobs)]
    for ref in refs:
        assert (await ref.wait(240)).counts.succeeded == 100


async def _dead_rows(connection: Any) -> int:
    found: int = await connection.fetchval(
        "SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = 'gristmill' AND relname = 'chunk'"
    )
    return found


@pytest.mark.parametrize("store_kind", ["sqlite"])
async def test_work_goes_on_beside_a_long_reader_and_the_log_is_used_anew_after_it(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import apsw  # noqa: PLC0415 - only where a test needs it

    await mill.jobs.open()
    await mill.worker()
    path = Path(mill.url.removeprefix("sqlite:///"))
    log = path.with_name(f"{path.name}-wal")
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM gristmill_job").get == 0
    round_before, size_before = _round(log), log.stat().st_size
    while log.stat().st_size < 8 << 20:
        await _turn_over(mill, 20)
        assert log.stat().st_size > size_before
    assert reader.execute("SELECT count(*) FROM gristmill_job").get == 0
    assert _round(log) == round_before
    assert await mill.jobs.store.hindrances() == []
    monkeypatch.setattr("gristmill.queue.sqlite.store.HELD_LOG", 4 << 20)
    assert ["so long that its log has" in each.text for each in await mill.jobs.store.hindrances()] == [True]
    reader.execute("COMMIT")
    while _round(log) == round_before:
        await _turn_over(mill, 5)
    reader.close()


def _round(log: Path) -> bytes:
    """Return how often the write-ahead log has begun anew, and what salts that: bytes of its header."""
    with log.open("rb") as file:
        return file.read(24)[12:]


@pytest.mark.parametrize("store_kind", ["sqlite"])
async def test_a_foreign_lock_longer_than_the_patience_loses_and_doubles_nothing(
    mill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import apsw  # noqa: PLC0415 - only where a test needs it

    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.2)
    worker = await mill.worker("--mode", "wait_before", "--lease", "30", "--patience", "0.2")
    first = await mill.jobs.enqueue("numbers", range(10), unique="first", unique_for=60)
    await worker.says("holding")
    foreign = apsw.Connection(mill.url.removeprefix("sqlite:///"))
    foreign.set_busy_timeout(5000)  # somebody may be writing just now
    foreign.execute("BEGIN IMMEDIATE")
    mill.go()
    for _ in range(4):  # the worker's settlement has been refused too by the last of them
        with pytest.raises(StoreUnavailable):
            await mill.jobs.enqueue("numbers", range(100, 110), unique="second", unique_for=60)
    assert mill.seen() == dict.fromkeys(range(10), 1)
    assert (await first.status()).counts.running == 10  # reading goes on
    foreign.execute("COMMIT")
    foreign.close()
    second = await mill.jobs.enqueue("numbers", range(100, 110), unique="second", unique_for=60)
    assert second.created
    for ref in (first, second):
        await mill.jobs.wait(ref.id, timeout=240)
    for ref in (first, second):
        assert (await mill.done(ref.id)).counts.succeeded == 10
    assert mill.seen() == dict.fromkeys([*range(10), *range(100, 110)], 1)
