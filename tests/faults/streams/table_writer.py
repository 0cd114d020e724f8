"""A run into a table, in a process that a test stops or kills: source, sink, dead letters, workers, options.

Prints a line at each tick of the run, so that a test knows how far it is, and one at its end.
"""

# ruff: noqa: T201 - a test reads what it prints

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from gristmill import Failed, batch
from gristmill.errors import GristmillError
from gristmill.streams.options import ReadOptions, RunOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.sql.opening import sql_sink


@batch(max_size=100)
def tidy(rows: list[dict[str, Any]]) -> list[dict[str, Any] | Failed]:
    time.sleep(0.002)  # so that chunks stay small, and a run has many commits
    return [
        Failed("not this one", "unwanted")
        if row["kind"] == "unwanted"
        else {"id": row["id"], "name": row["name"]}
        for row in rows
    ]


def main() -> None:
    source, sink, dead, workers, commit_seconds, stop_at = sys.argv[1:7]
    table = sql_sink(sink)
    table.commit_seconds = min(table.commit_seconds, float(commit_seconds))
    ticks = 0

    def watch(report: Report) -> None:
        nonlocal ticks
        ticks += 1
        print("tick", report.counts.read, flush=True)
        if ticks == int(stop_at):
            os.kill(os.getpid(), signal.SIGSTOP)

    options = RunOptions(workers=int(workers), dead_letter=dead)
    table_name = source.rpartition("#")[2] if "://" in source else None
    try:
        Pipeline(
            source.rpartition("#")[0] if table_name else source,
            tidy,
            table,
            read=ReadOptions(table=table_name),
            options=options,
        ).run(watch=watch)
    except GristmillError as error:
        print(type(error).__name__, error, flush=True)
        raise SystemExit(1) from None
    print("done", flush=True)


if __name__ == "__main__":
    main()
