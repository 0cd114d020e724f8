"""Which defaults suit a handler with a fixed cost: `max_wait` x `concurrency` into PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks import load
from benchmarks.http import body_of, measure, new_user, warm_up
from benchmarks.measure import Report, Sample, Settings, interleave, spread
from benchmarks.postgres import Database, database, describe
from benchmarks.processes import python_server, running

CONNECTIONS = (64, 256)
WAITS: dict[str, dict[str, Any]] = {
    "0": {"max_wait": 0.0},
    "1 ms": {"max_wait": 0.001},
    "2 ms": {"max_wait": 0.002},
    "5 ms": {"max_wait": 0.005},
    "Linger": {"linger": 1.0},
}
SLOTS = (1, 2, 3, 4)
PASSES = 3


def subject(
    store: Database, limits: dict[str, Any], connections: int, seconds: float
) -> Callable[[], Sample]:
    """A server of its own for every measurement: settings are fixed when a handler is made."""
    where = {**store.environment, "GRISTMILL_LIMITS": json.dumps(limits)}
    server = python_server("gristmill", "gristmill_postgres", "/v1/users", **where)
    body = body_of([new_user(1)], single=True, envelope=False)

    def once() -> Sample:
        with running([server]) as entries:
            entry = entries["gristmill"]
            warm_up([entry], {"gristmill": body}, store, connections, seconds=0.5)
            return measure(entry, body, store, connections=connections, seconds=seconds)

    return once


def run(settings: Settings) -> Report:
    report = Report("defaults: max_wait x concurrency, one item per POST, into PostgreSQL")
    report.columns = ("connections", "max_wait", *(f"concurrency {slots}" for slots in SLOTS))
    report.remarks.append(f"items/s, median (lowest-highest); load generator: {load.generator_name()}")
    waits = dict(list(WAITS.items())[::2]) if settings.quick else WAITS
    slots_of = SLOTS[:2] if settings.quick else SLOTS
    passes = min(settings.passes, PASSES)
    with database() as store:
        report.remarks.append(describe(store))
        for connections in CONNECTIONS:
            subjects = {
                f"{wait}, {slots}": subject(
                    store, {**limits, "concurrency": slots}, connections, settings.seconds
                )
                for wait, limits in waits.items()
                for slots in slots_of
            }
            taken = interleave(subjects, passes)
            report.samples[f"{connections} connections"] = taken
            for wait in waits:
                cells = (f"{spread(taken, f'{wait}, {slots}', 'rate'):.0f}" for slots in slots_of)
                report.rows.append((str(connections), wait, *cells))
            best = max(taken, key=lambda name: spread(taken, name, "rate").median)
            report.remarks.append(
                f"{connections} connections: fastest median at max_wait, concurrency = {best}"
            )
    report.columns = report.columns[: 2 + len(slots_of)]
    return report
