"""One item per POST into a real PostgreSQL: coalesced by Gristmill, one INSERT per POST by the peers."""

from __future__ import annotations

from benchmarks import load
from benchmarks.http import COLUMNS, body_of, check, chosen, interleaved, new_user, tabulate, warm_up
from benchmarks.measure import Passes, Report, Settings, ratio
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

CONNECTIONS = (64, 256)


def servers_on(entry: Database) -> list[Server]:
    where = entry.environment
    servers = [
        gristmill_server("gristmill", "gristmill_postgres", "/v1/users", **where),
        python_server("by hand", "starlette_users", "/users", **where),
        python_server("fastapi", "fastapi_users", "/users", **where),
    ]
    if node_is_ready():
        servers.append(node_server("fastify", "fastify.mjs", "/users", **where))
    return servers


def judge(report: Report, taken: Passes, connections: int) -> None:
    against = f"items/s into PostgreSQL at {connections} connections, one item per POST, against"
    report.judge(
        f"{against} FastAPI with one INSERT each",
        ratio(taken, "gristmill", "fastapi", "rate"),
        5.0,
        at_least=True,
    )
    report.judge(
        f"{against} Fastify with one INSERT each",
        ratio(taken, "gristmill", "fastify", "rate"),
        1.0,
        at_least=True,
    )
    report.judge(
        f"{against} a coalescer by hand on Starlette",
        ratio(taken, "gristmill", "by hand", "rate"),
        1.0,
        at_least=True,
    )


def run(settings: Settings) -> Report:
    report = Report("HTTP, one item per POST, into PostgreSQL", COLUMNS)
    report.remarks.append(f"load generator: {load.generator_name()}; Node peers: {node_versions()}")
    body = body_of([new_user(1)], single=True, envelope=False)
    with database() as store:
        report.remarks.append(describe(store))
        with running(chosen(servers_on(store), settings)) as entries:
            bodies = dict.fromkeys(entries, body)
            for entry in entries.values():
                check(entry, store)
            warm_up(entries.values(), bodies, store, CONNECTIONS[0], settings.warm_up)
            for connections in CONNECTIONS:
                store.checkpoint()
                taken = interleaved(entries, bodies, store, settings, connections=connections)
                tabulate(report, f"{connections} connections", taken)
                judge(report, taken, connections)
    report.remarks.append(
        "every peer stored and answered 2000 distinct users exactly; rows counted after each run"
    )
    return report
