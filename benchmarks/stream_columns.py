"""A column added to a file of 5 million rows, columnar: Gristmill beside DuckDB, Polars and PyArrow."""

from __future__ import annotations

import sys

from benchmarks.measure import Report, Settings, interleave, ratio, spread
from benchmarks.orders import Orders, orders
from benchmarks.stream_run import PEAK, WORKERS, Subject, check, chosen, measured, ours

ROWS = 5_000_000
COLUMNS = (
    "format",
    "subject",
    "seconds",
    "rows/s, x1000",
    "with fsync",
    "CPU s",
    "peak MB",
    "x DuckDB's rows/s",
)
PEERS = ("DuckDB", "DuckDB, as text", "Polars", "PyArrow")


def peer(name: str, form: str) -> Subject:
    command = [
        sys.executable,
        "-m",
        "benchmarks.column_peers",
        name,
        form,
        "{source}",
        "{target}",
        str(WORKERS),
    ]
    return Subject(name=name, command=command)


def one_format(report: Report, settings: Settings, table: Orders, form: str) -> None:
    peers = [peer(name, form) for name in PEERS if form == "csv" or name != "DuckDB, as text"]
    subjects = chosen([ours("gristmill", "columns:add_gross"), *peers], settings, report)
    check(subjects, form)
    taken = interleave(
        {subject.name: lambda s=subject: measured(s, table, form) for subject in subjects}, settings.passes
    )
    report.samples[form] = taken
    for name in taken:
        against = ratio(taken, name, "DuckDB", "rows")
        report.rows.append(
            (
                form,
                name,
                f"{spread(taken, name, 'seconds'):.2f}",
                f"{spread(taken, name, 'rows').median / 1000:.0f}",
                f"{spread(taken, name, 'synced').median / 1000:.0f}",
                f"{spread(taken, name, 'cpu'):.2f}",
                f"{spread(taken, name, 'peak'):.0f}",
                f"{against:.2f}" if against else "",
            )
        )
    theirs = [name for name in taken if not name.startswith("gristmill")]
    for name in theirs:
        target = f"{form} to {form}, rows/s against {name}, 2 threads"
        report.judge(target, ratio(taken, "gristmill", name, "rows"), 1.0, at_least=True)
        target = f"{form} to {form}, the same with the peer's output fsynced as ours is"
        report.judge(target, ratio(taken, "gristmill", name, "synced"), 1.0, at_least=True)
        target = f"{form} to {form}, peak memory against {name}"
        report.judge(target, ratio(taken, "gristmill", name, "peak"), 1.0)


def run(settings: Settings) -> Report:
    report = Report("stream, columnar: one column added to a file, a fresh process each time", COLUMNS)
    rows = settings.rows or (200_000 if settings.quick else ROWS)
    with orders(rows) as table:
        report.remarks.append(str(table))
        report.remarks.append(PEAK)
        report.remarks.append(
            "Gristmill fsyncs what it commits, the peers do not; `with fsync` adds the fsync"
        )
        for form in ("csv", "parquet"):
            one_format(report, settings, table, form)
    report.remarks = list(dict.fromkeys(report.remarks))
    return report
