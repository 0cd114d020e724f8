"""A column added to a CSV file, rows as dicts: Gristmill with 2 workers beside Node and the csv module."""

from __future__ import annotations

import sys

from benchmarks.measure import Passes, Report, Sample, Settings, Spread, interleave, ratio, spread
from benchmarks.orders import Orders, orders
from benchmarks.processes import CACHE, node_is_ready, node_versions
from benchmarks.stream_run import PEAK, Subject, check, chosen, measured, ours

ROWS = 1_000_000
TIMES = 4
"""How many times longer the second file is."""
COLUMNS = (
    "subject",
    "seconds",
    "rows/s, x1000",
    "MB/s",
    "CPU s",
    "x Node's rows/s",
    "peak MB",
    f"at {TIMES}x",
)


def subjects() -> list[Subject]:
    script = str(CACHE / "node" / "stream_rows.mjs")
    production = {"NODE_ENV": "production"}
    node = Subject(name="Node", command=["node", script, "{source}", "{target}"], environment=production)

    def python(name: str) -> Subject:
        return Subject(
            name=name, command=[sys.executable, "-m", "benchmarks.row_peers", name, "{source}", "{target}"]
        )

    found = [ours("gristmill", "rows:add_gross"), ours("gristmill, 1 worker", "rows:add_gross", workers=1)]
    return [*found, *([node] if node_is_ready() else []), python("csv.DictReader"), python("csv.reader")]


def timed(entries: list[Subject], table: Orders, passes: int) -> Passes:
    def one(entry: Subject) -> Sample:
        return measured(entry, table, "csv")

    return interleave({entry.name: lambda e=entry: one(e) for entry in entries}, passes)


def judge(report: Report, taken: Passes, longer: Passes) -> None:
    for name in [name for name in taken if not name.startswith("gristmill")]:
        target = f"rows/s with 2 workers, against {name} in one process"
        bound = 1.5 if name == "csv.DictReader" else 1.0
        report.judge(target, ratio(taken, "gristmill", name, "rows"), bound, at_least=True)
    alone = ratio(taken, "gristmill", "gristmill, 1 worker", "rows")
    report.judge("rows/s with 2 workers, against 1", alone, 1.7, at_least=True)
    if "gristmill" in taken:
        highest = spread(taken, "gristmill", "peak").highest
        grown = Spread.of([sample["peak"] / highest for sample in longer["gristmill"]])
        report.judge(f"peak memory at {TIMES}x the file, against 1x", grown, 1.1)


def run(settings: Settings) -> Report:
    report = Report(
        "stream, rows as dicts: one column added to a CSV file, a fresh process each time", COLUMNS
    )
    rows = settings.rows or (100_000 if settings.quick else ROWS)
    entries = chosen(subjects(), settings, report)
    check(entries, "csv")
    with orders(rows) as table:
        report.remarks.append(str(table))
        size = table.size
        taken = timed(entries, table, settings.passes)
    with orders(rows * TIMES) as table:
        longer = timed(entries, table, 1)
    report.samples = {"1x": taken, f"{TIMES}x": longer}
    for name in taken:
        against = ratio(taken, name, "Node", "rows")
        rate = spread(taken, name, "rows").median
        report.rows.append(
            (
                name,
                f"{spread(taken, name, 'seconds'):.2f}",
                f"{rate / 1000:.0f}",
                f"{rate * size / rows / 1e6:.0f}",
                f"{spread(taken, name, 'cpu'):.2f}",
                f"{against:.2f}" if against else "",
                f"{spread(taken, name, 'peak'):.0f}",
                f"{spread(longer, name, 'peak').median:.0f}",
            )
        )
    report.remarks.append(PEAK)
    report.remarks.append("Gristmill fsyncs what it commits, the peers do not")
    if node_is_ready():
        report.remarks.append(f"Node peers: {node_versions()}")
    judge(report, taken, longer)
    return report
