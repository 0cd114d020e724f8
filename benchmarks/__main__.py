"""Run the benchmarks, all or those named, each peer in turn in every pass."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Report, Settings

NAMES = (
    "coalescing",
    "late_forming",
    "adaptive",
    "http_plain",
    "http_postgres",
    "http_batch",
    "sweep",
    "queue",
    "bulk_writer",
    "stream_columns",
    "stream_rows",
    "stream_cpu",
    "stream_resume",
    "client",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join(NAMES)}; all when left out"
    )
    parser.add_argument("--passes", type=int, default=None, help="passes over all peers (5; quick: 1)")
    parser.add_argument("--seconds", type=float, default=None, help="seconds per measurement (2; quick: 0.5)")
    parser.add_argument("--quick", action="store_true", help="few short passes: does it run, not how fast")
    parser.add_argument(
        "--peers", default=None, help="comma-separated subjects to measure; all when left out"
    )
    parser.add_argument(
        "--rows", type=int, default=None, help="rows of the input of the stream benchmarks; each has its own"
    )
    parser.add_argument("--json", type=Path, default=None, help="also write every sample to this file")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(NAMES)
    if unknown:
        parser.error(f"no benchmark called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return chosen


def settings_of(chosen: argparse.Namespace) -> Settings:
    return Settings(
        passes=chosen.passes or (1 if chosen.quick else 5),
        seconds=chosen.seconds or (0.5 if chosen.quick else 2.0),
        quick=chosen.quick,
        rows=chosen.rows,
        peers=frozenset(chosen.peers.split(",")) if chosen.peers else None,
    )


def main() -> int:
    chosen = arguments()
    settings = settings_of(chosen)
    print(f"python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", end="")
    print(f", {settings.passes} passes of {settings.seconds:g} s; median (lowest-highest pass)")
    reports: dict[str, Report] = {}
    for name in chosen.names or NAMES:
        started = time.monotonic()
        print()
        try:
            reports[name] = importlib.import_module(f"benchmarks.{name}").run(settings)
        except (RuntimeError, subprocess.SubprocessError) as failure:
            # The other benchmarks still have something to say; the exit status tells.
            said = str(getattr(failure, "stderr", None) or "")
            print(f"== {name} failed: {failure}\n{said[-2000:]}")
            continue
        for line in reports[name].lines():
            print(line)
        print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    if chosen.json:
        everything = {name: report.plain() for name, report in reports.items()}
        chosen.json.write_text(json.dumps(everything, indent=1) + "\n")
    return 0 if len(reports) == len(chosen.names or NAMES) else 1


if __name__ == "__main__":
    sys.exit(main())
