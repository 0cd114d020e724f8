"""Which defaults suit a handler with a fixed cost: `max_wait` x `concurrency` into PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import load
from benchmarks.http import body_of, measure, new_user, warm_up
from benchmarks.measure import Passes, Report, Sample, Settings, interleave, spread
from benchmarks.postgres import Database, database, describe
from benchmarks.processes import gristmill_server, running

SECONDS = 1.0
WAITS: dict[str, dict[str, Any]] = {
    "0": {"max_wait": 0.0},
    "1 ms": {"max_wait": 0.001},
    "2 ms": {"max_wait": 0.002},
    "5 ms": {"max_wait": 0.005},
    "Linger": {"linger": 1.0},
}
SLOTS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Who posts what."""

    path: str
    items: int
    connections: int
    waits: tuple[str, ...] = tuple(WAITS)

    @property
    def title(self) -> str:
        return f"{self.items} an answer, {self.connections} connections"

    @property
    def body(self) -> bytes:
        users = [new_user(number) for number in range(self.items)]
        return body_of(users, single=self.items == 1, envelope=True)


LOADS = (
    Load(path="/v1/users", items=1, connections=64),
    Load(path="/v1/users", items=1, connections=256),
    # A list is as good as a full batch by itself: only the slots matter.
    Load(path="/v1/users/batch", items=500, connections=16, waits=("0",)),
)


def subject(store: Database, what: Load, wait: str, slots: int) -> Callable[[], Sample]:
    """A server of its own for every measurement: limits are fixed when a handler is made."""
    limits = json.dumps({**WAITS[wait], "concurrency": slots})
    where = {**store.environment, "GRISTMILL_LIMITS": limits}
    server = gristmill_server("gristmill", "gristmill_postgres", what.path, **where)
    body = what.body

    def once() -> Sample:
        with running([server]) as entries:
            entry = entries["gristmill"]
            warm_up([entry], {"gristmill": body}, store, what.connections, seconds=0.5)
            return measure(
                entry, body, store, connections=what.connections, seconds=SECONDS, items=what.items
            )

    return once


def tabulate(report: Report, what: Load, taken: Passes, waits: list[str], slots: tuple[int, ...]) -> None:
    report.samples[what.title] = taken
    for quantity, shown in (("rate", "items/s"), ("p99", "p99 ms")):
        for wait in waits:
            cells = (f"{spread(taken, f'{wait}, {each}', quantity):.0f}" for each in slots)
            report.rows.append((what.title, shown, wait, *cells))
    best = max(taken, key=lambda name: spread(taken, name, "rate").median)
    report.remarks.append(f"{what.title}: fastest median at max_wait, concurrency = {best}")


def run(settings: Settings) -> Report:
    report = Report("defaults: max_wait x concurrency, into PostgreSQL")
    slots = SLOTS[:2] if settings.quick else SLOTS
    report.columns = ("load", "", "max_wait", *(f"concurrency {each}" for each in slots))
    report.remarks.append(f"load generator: {load.generator_name()}, runs of {SECONDS:g} s")
    passes = max(1, settings.passes // 2)
    with database() as store:
        report.remarks.append(describe(store))
        for what in LOADS:
            waits = list(what.waits[::4] if settings.quick else what.waits)
            subjects = {
                f"{wait}, {each}": subject(store, what, wait, each) for wait in waits for each in slots
            }
            tabulate(report, what, interleave(subjects, passes), waits, slots)
    return report
