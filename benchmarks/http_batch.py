"""500 items per POST into a real PostgreSQL: every peer stores a list with one statement."""

from __future__ import annotations

from benchmarks import load
from benchmarks.http import COLUMNS, body_of, check, chosen, interleaved, new_user, tabulate, warm_up
from benchmarks.measure import Report, Settings, ratio
from benchmarks.postgres import Database, database, describe
from benchmarks.processes import (
    Server,
    gristmill_server,
    node_is_ready,
    node_server,
    node_versions,
    python_server,
    running,
)

CONNECTIONS = 16
ITEMS = 500
OURS = ("gristmill", "gristmill, 4 slots")


def servers_on(entry: Database) -> list[Server]:
    where = entry.environment
    servers = [
        gristmill_server("gristmill", "gristmill_postgres", "/v1/users/batch", **where),
        gristmill_server(
            "gristmill, 4 slots",
            "gristmill_postgres",
            "/v1/users/batch",
            **where,
            GRISTMILL_LIMITS='{"concurrency": 4}',
        ),
        python_server("starlette", "starlette_users", "/users/batch", **where),
        python_server("fastapi", "fastapi_users", "/users/batch", **where),
    ]
    if node_is_ready():
        servers.append(node_server("fastify", "fastify.mjs", "/users/batch", **where))
        servers.append(node_server("express", "express.mjs", "/users/batch", **where))
    return servers


def run(settings: Settings) -> Report:
    report = Report(f"HTTP, {ITEMS} items per POST, into PostgreSQL", COLUMNS)
    report.remarks.append(f"load generator: {load.generator_name()}; Node peers: {node_versions()}")
    users = [new_user(number) for number in range(ITEMS)]
    with database() as store:
        report.remarks.append(describe(store))
        with running(chosen(servers_on(store), settings)) as entries:
            bodies = {name: body_of(users, single=False, envelope=name in OURS) for name in entries}
            for name, entry in entries.items():
                check(entry, store, items=100, envelope=name in OURS)
            warm_up(entries.values(), bodies, store, CONNECTIONS, settings.warm_up)
            store.checkpoint()
            taken = interleaved(entries, bodies, store, settings, connections=CONNECTIONS, items=ITEMS)
    tabulate(report, f"{CONNECTIONS} connections", taken)
    for ours in OURS:
        against = f"items/s into PostgreSQL with {ITEMS} items per POST, {ours} against"
        report.judge(f"{against} FastAPI", ratio(taken, ours, "fastapi", "rate"), 2.5, at_least=True)
        report.judge(f"{against} Express", ratio(taken, ours, "express", "rate"), 1.0, at_least=True)
    return report
