"""Lets seconds go by in which nothing is heard of an upload: the clock of a real store cannot be turned."""

from __future__ import annotations

from typing import Any


async def silence(store: Any, job: str, seconds: float) -> None:
    """Make the upload *job* in *store* look as if it was last touched *seconds* earlier."""
    await _KINDS[type(store).__name__](store, job, seconds)


async def _memory(store: Any, job: str, seconds: float) -> None:
    if (row := store._tables.jobs.get(job)) is not None:  # noqa: SLF001 - what it notes, and no more
        row.touched_at -= seconds


async def _sqlite(store: Any, job: str, seconds: float) -> None:
    import apsw  # noqa: PLC0415 - only where a test needs it

    connection = apsw.Connection(store.url.removeprefix("sqlite:///"))
    connection.set_busy_timeout(60_000)
    sql = "UPDATE gristmill_job SET touched_at = touched_at - ? WHERE id = ?"
    connection.execute(sql, (seconds, job))
    connection.close()


async def _postgres(store: Any, job: str, seconds: float) -> None:
    async with store._connections._acquired() as connection:  # noqa: SLF001 - as above
        sql = "UPDATE gristmill.job SET touched_at = touched_at - $1 WHERE id = $2"
        await connection.execute(sql, seconds, job)


async def _redis(store: Any, job: str, seconds: float) -> None:
    links = store._links  # noqa: SLF001 - as above
    uploads = links.settings.root + "uploads"
    if (at := await links.call("ZSCORE", uploads, job)) is not None:
        await links.call("ZADD", uploads, float(at) - seconds, job)


_KINDS = {"MemoryStore": _memory, "SqliteStore": _sqlite, "PostgresStore": _postgres, "RedisStore": _redis}
