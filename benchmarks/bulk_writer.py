"""Batches of rows into PostgreSQL by ``BulkWriter``, beside statements by hand, psycopg and psql."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.bulk_peers import Bulk, User, psql_copy
from benchmarks.measure import Passes, Report, Sample, Settings, interleave, ratio, spread
from benchmarks.postgres import Database, database, describe

SMALL = 500
LARGE = 50_000
AT_ONCE = 4
COLUMNS = ("batch", "subject", "rows/s")


def small(entry: Database, seconds: float) -> dict[str, Callable[[], Sample]]:
    bulk = Bulk(entry, SMALL, seconds)
    return {
        "gristmill": lambda: asyncio.run(bulk.gristmill("id")),
        "gristmill, typed": lambda: asyncio.run(bulk.gristmill(User)),
        "asyncpg, VALUES": lambda: asyncio.run(bulk.by_hand("values")),
        "asyncpg, unnest": lambda: asyncio.run(bulk.by_hand("unnest")),
        "psycopg, executemany": lambda: asyncio.run(bulk.executemany()),
    }


def at_once(entry: Database, seconds: float) -> dict[str, Callable[[], Sample]]:
    """Those of ``small`` as services run them: several batches in flight."""
    bulk = Bulk(entry, SMALL, seconds, AT_ONCE)
    return {
        "gristmill": lambda: asyncio.run(bulk.gristmill("id")),
        "asyncpg, VALUES": lambda: asyncio.run(bulk.by_hand("values")),
        "asyncpg, unnest": lambda: asyncio.run(bulk.by_hand("unnest")),
        "psycopg, executemany": lambda: asyncio.run(bulk.executemany()),
    }


def large(entry: Database, seconds: float, room: Path) -> dict[str, Callable[[], Sample]]:
    bulk = Bulk(entry, LARGE, seconds)
    return {
        "gristmill": lambda: asyncio.run(bulk.gristmill(None)),
        "asyncpg, COPY": lambda: asyncio.run(bulk.copy()),
        "psql, \\copy": lambda: psql_copy(entry, LARGE, room),
    }


def run(settings: Settings) -> Report:
    report = Report("Rows into PostgreSQL", COLUMNS)
    with database() as entry, tempfile.TemporaryDirectory(prefix="gm-bulk-") as folder:
        report.remarks.append(describe(entry))
        sections = {
            f"{SMALL}, ids returned": small(entry, settings.seconds),
            f"{SMALL}, ids returned, {AT_ONCE} at once": at_once(entry, settings.seconds),
            f"{LARGE}": large(entry, settings.seconds, Path(folder)),
        }
        for section, subjects in sections.items():
            fresh = {
                name: _from_empty(entry, subject)
                for name, subject in subjects.items()
                if settings.wants(name)
            }
            taken = interleave(fresh, settings.passes)
            report.samples[section] = taken
            report.rows += [(section, name, f"{spread(taken, name, 'rate'):,.0f}") for name in taken]
            judge(report, section, taken)
    report.remarks.append("rows are Structs, made before the time is taken; psql reads a file that is there")
    return report


def _from_empty(entry: Database, subject: Callable[[], Sample]) -> Callable[[], Sample]:
    def measured() -> Sample:
        entry.truncate()
        entry.checkpoint()
        return subject()

    return measured


def judge(report: Report, section: str, taken: Passes) -> None:
    what = f"rows/s, batches of {section}, against"
    by_hand = [name for name in ("asyncpg, VALUES", "asyncpg, unnest") if name in taken]
    if by_hand:
        best = max(by_hand, key=lambda name: spread(taken, name, "rate").median)
        ours = ratio(taken, "gristmill", best, "rate")
        report.judge(f"{what} the better statement by hand ({best})", ours, 0.9, at_least=True)
    report.judge(
        f"{what} psycopg executemany",
        ratio(taken, "gristmill", "psycopg, executemany", "rate"),
        5.0,
        at_least=True,
    )
    report.judge(f"{what} psql \\copy", ratio(taken, "gristmill", "psql, \\copy", "rate"), 0.8, at_least=True)
