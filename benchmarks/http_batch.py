"""500 items per POST, without a database and into PostgreSQL: everybody stores a list with one statement.

Everybody is sent the same bytes, an array of users. Gristmill also takes an envelope whose entries may have
ids; without a database that form is measured beside.
"""

from __future__ import annotations

from collections.abc import Sequence

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

CONNECTIONS = 16
ITEMS = 500
FOUR_SLOTS = "gristmill, 4 slots of 1000"
ENVELOPE = "gristmill, envelope"
OURS = ("gristmill", FOUR_SLOTS)


def servers_without_database() -> list[Server]:
    servers = [
        gristmill_server("gristmill", "gristmill_plain", "/v1/users/batch"),
        gristmill_server(ENVELOPE, "gristmill_plain", "/v1/users/batch"),
        python_server("starlette", "starlette_users", "/plain/batch"),
        python_server("fastapi", "fastapi_users", "/plain/batch"),
    ]
    if node_is_ready():
        servers.append(node_server("fastify", "fastify.mjs", "/plain/batch"))
        servers.append(node_server("express", "express.mjs", "/plain/batch"))
    return servers


def servers_on(entry: Database) -> list[Server]:
    where = entry.environment
    limits = '{"concurrency": 4, "max_size": 1000}'
    servers = [
        gristmill_server("gristmill", "gristmill_postgres", "/v1/users/batch", **where),
        gristmill_server(
            FOUR_SLOTS, "gristmill_postgres", "/v1/users/batch", **where, GRISTMILL_LIMITS=limits
        ),
        python_server("starlette", "starlette_users", "/users/batch", **where),
        python_server("fastapi", "fastapi_users", "/users/batch", **where),
    ]
    if node_is_ready():
        servers.append(node_server("fastify", "fastify.mjs", "/users/batch", **where))
        servers.append(node_server("express", "express.mjs", "/users/batch", **where))
    return servers


def taken_of(servers: Sequence[Server], store: Database | None, settings: Settings) -> Passes:
    users = [new_user(number) for number in range(ITEMS)]
    with running(chosen(servers, settings)) as entries:
        bodies = {name: body_of(users, single=False, envelope=name == ENVELOPE) for name in entries}
        for name, entry in entries.items():
            check(entry, store, items=100, envelope=name == ENVELOPE)
        warm_up(entries.values(), bodies, store, CONNECTIONS, settings.warm_up)
        if store is not None:
            store.checkpoint()
        return interleaved(entries, bodies, store, settings, connections=CONNECTIONS, items=ITEMS)


def run(settings: Settings) -> Report:
    report = Report(f"HTTP, {ITEMS} items per POST", COLUMNS)
    report.remarks.append(
        f"load generator: {load.generator_name()}, {CONNECTIONS} connections; Node peers: {node_versions()}"
    )
    plain = taken_of(servers_without_database(), None, settings)
    tabulate(report, "no database", plain)
    for peer, name, bound in (("fastapi", "FastAPI", 2.5), ("express", "Express", 1.0)):
        target = f"items/s without a database, {ITEMS} items per POST, against {name}"
        report.judge(target, ratio(plain, "gristmill", peer, "rate"), bound, at_least=True)
    with database() as store:
        report.remarks.append(describe(store))
        stored = taken_of(servers_on(store), store, settings)
    tabulate(report, "into PostgreSQL", stored)
    report.remarks.append(
        "into PostgreSQL `starlette` is the ceiling of a server in Python: no limits, verdicts or batches"
    )
    for ours in OURS:
        against = f"items/s into PostgreSQL, {ITEMS} items per POST, {ours} against"
        report.judge(f"{against} FastAPI", ratio(stored, ours, "fastapi", "rate"), 2.5, at_least=True)
        report.judge(f"{against} Express", ratio(stored, ours, "express", "rate"), 1.0, at_least=True)
        report.judge(f"{against} the ceiling", ratio(stored, ours, "starlette", "rate"), 1.0, at_least=True)
    return report
