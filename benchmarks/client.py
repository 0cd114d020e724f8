"""10,000 single calls to a server: coalesced by our client, one by one over the same libraries, in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import Report, Sample, Settings, interleave, ratio, spread
from benchmarks.processes import HERE, Running, gristmill_server, running

CALLS = 10_000
STREAM = 1_000_000
NAIVE = 1_000
"""Calls at once without a bound: httpx2 takes time by the square of them."""
NODE = "Node, the seed's BatchedApiClient"
SUBJECTS = {
    "gristmill, aiohttp": ("coalesced aiohttp", CALLS),
    "gristmill, httpx2": ("coalesced httpx2", CALLS),
    "aiohttp, 64 at once": ("bounded aiohttp", CALLS),
    "httpx2, 64 at once": ("bounded httpx2", CALLS),
    f"httpx2, gather of {NAIVE}": ("gather httpx2", NAIVE),
}
SMALL = {"gristmill, aiohttp": "small aiohttp", "gristmill, httpx2": "small httpx2"}


def measured(entry: Running, subject: str, calls: int) -> Sample:
    url = f"http://127.0.0.1:{entry.port}"
    command = [sys.executable, "-m", "benchmarks.client_calls", subject, url, str(calls)]
    done = subprocess.run(command, timeout=600, check=True, capture_output=True, text=True)
    found: Sample = json.loads(done.stdout)
    return found


def in_node(entry: Running, calls: int) -> Sample:
    url = f"http://127.0.0.1:{entry.port}/v1/users/batch"
    command = ["node", "--expose-gc", str(HERE / "node" / "batched_client.mjs"), url, str(calls)]
    done = subprocess.run(command, timeout=600, check=True, capture_output=True, text=True)
    found: Sample = json.loads(done.stdout)
    return found


def calls(report: Report, settings: Settings, entry: Running) -> None:
    share = 5 if settings.quick else 1
    subjects: dict[str, Callable[[], Sample]] = {
        name: lambda subject=subject, count=count: measured(entry, subject, count // share)  # type: ignore[misc]
        for name, (subject, count) in SUBJECTS.items()
        if settings.wants(name)
    }
    if shutil.which("node") is not None and settings.wants(NODE):
        subjects[NODE] = lambda: in_node(entry, CALLS // share)
    taken = interleave(subjects, settings.passes)
    report.samples["calls"] = taken
    best = "gristmill, aiohttp"
    for name in taken:
        against = ratio(taken, best, name, "rate")
        cells = (f"{spread(taken, name, 'rate'):.0f}", f"{spread(taken, name, 'cpu_us'):.0f}")
        report.rows.append(("single calls", name, *cells, "" if against is None else f"{against:.2f}"))
    for name, bound in (("httpx2, 64 at once", 10.0), ("aiohttp, 64 at once", 3.0), (NODE, 1.0)):
        target = f"calls/s, coalesced, against {name}"
        report.judge(target, ratio(taken, best, name, "rate"), bound, at_least=True)


def small_batches(report: Report, settings: Settings, entry: Running) -> None:
    share = 5 if settings.quick else 1
    subjects: dict[str, Callable[[], Sample]] = {
        name: lambda subject=subject: measured(entry, subject, CALLS // share)  # type: ignore[misc]
        for name, subject in SMALL.items()
        if settings.wants(name)
    }
    taken = interleave(subjects, settings.passes)
    report.samples["small batches"] = taken
    for name in taken:
        against = ratio(taken, "gristmill, aiohttp", name, "rate")
        cells = (f"{spread(taken, name, 'rate'):.0f}", f"{spread(taken, name, 'cpu_us'):.0f}")
        report.rows.append(
            ("batches of 10, 32 at once", name, *cells, "" if against is None else f"{against:.2f}")
        )
    target = "calls/s in batches of 10, aiohttp against httpx2: the default transport"
    report.judge(target, ratio(taken, *SMALL, "rate"), 1.0, at_least=True)


def stream(report: Report, settings: Settings, entry: Running) -> None:
    count = STREAM // (20 if settings.quick else 1)
    taken = interleave({"map": lambda: measured(entry, "map aiohttp", count)}, min(settings.passes, 2))
    report.samples["map"] = taken
    early, late = (f"rss at {number}" for number in (count // 10, count))
    rate = count / spread(taken, "map", "seconds").median
    report.remarks.append(
        f"map of {count:,} items from a generator: {rate:,.0f} items/s; resident after {count // 10:,}: "
        f"{spread(taken, 'map', early):.0f} MB, after all: {spread(taken, 'map', late):.0f} MB, "
        f"peak {spread(taken, 'map', 'peak'):.0f} MB"
    )
    growth = {"late": [{"mb": each[late]} for each in taken["map"]]}
    growth["early"] = [{"mb": each[early]} for each in taken["map"]]
    target = f"memory after {count:,} items of a stream, against {count // 10:,}"
    report.judge(target, ratio(growth, "late", "early", "mb"), 1.1)


def run(settings: Settings) -> Report:
    columns = ("load", "subject", "calls/s", "µs CPU a call", "gristmill is faster by")
    report = Report(f"a client of {CALLS:,} single calls", columns)
    report.remarks.append(
        "client and server share the machine; each subject and pass in a process of its own"
    )
    with running([gristmill_server("gristmill", "gristmill_plain", "/v1/users")]) as entries:
        entry = entries["gristmill"]
        calls(report, settings, entry)
        small_batches(report, settings, entry)
        if settings.wants("map"):
            stream(report, settings, entry)
    return report
