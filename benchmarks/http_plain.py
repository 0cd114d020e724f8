"""One item per POST without a database: what the HTTP path itself costs."""

from __future__ import annotations

from benchmarks import load
from benchmarks.http import COLUMNS, body_of, check, chosen, interleaved, new_user, tabulate, warm_up
from benchmarks.measure import Report, Settings, ratio
from benchmarks.processes import (
    granian_server,
    gristmill_server,
    node_is_ready,
    node_server,
    node_versions,
    python_server,
    running,
)

CONNECTIONS = 64

SERVERS = [
    gristmill_server("gristmill", "gristmill_plain", "/v1/users"),
    python_server("bare ASGI", "bare_asgi", "/plain"),
    granian_server("bare ASGI on granian", "benchmarks.servers.bare_asgi:app", "/plain"),
    python_server("starlette", "starlette_users", "/plain"),
    python_server("fastapi", "fastapi_users", "/plain"),
]
NODE = [node_server("fastify", "fastify.mjs", "/plain"), node_server("express", "express.mjs", "/plain")]


def run(settings: Settings) -> Report:
    report = Report("HTTP, one item per POST, no database", COLUMNS)
    report.remarks.append(f"load generator: {load.generator_name()}, {CONNECTIONS} connections")
    servers = SERVERS + (NODE if node_is_ready() else [])
    report.remarks.append(
        f"Node peers: {node_versions()}" if len(servers) > len(SERVERS) else "no Node peers"
    )
    body = body_of([new_user(1)], single=True, envelope=False)
    with running(chosen(servers, settings)) as entries:
        bodies = dict.fromkeys(entries, body)
        for entry in entries.values():
            check(entry, None)
        warm_up(entries.values(), bodies, None, CONNECTIONS, settings.warm_up)
        taken = interleaved(entries, bodies, None, settings, connections=CONNECTIONS)
    tabulate(report, f"{CONNECTIONS} connections", taken)
    target = "items/s with one item per POST and no database, against Fastify"
    report.judge(target, ratio(taken, "gristmill", "fastify", "rate"), 1.0, at_least=True)
    return report
