"""Going on with a text file that is 90 % done: the time until the first new byte is committed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Passes, Report, Sample, Settings, interleave, ratio, spread
from benchmarks.orders import Orders, orders
from benchmarks.stream_run import GRISTMILL, PREVIEW, ROOT, WORKERS, command_is_ready

ROWS = 2_000_000
TIMES = 4
"""How many times longer the second file is."""
DONE = 0.9
"""The share of the input that is committed when the run is killed."""
TIMEOUT = 300.0
COLUMNS = ("subject", "file", "done before", "s to the first new byte", "s to the end")
Line = tuple[float, int]
"""Seconds since the start, and bytes of the input that are committed."""


@contextmanager
def started(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], Iterator[Line]]]:
    """Start a run; yield its process and what it says of its progress, until its output ends."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    said: list[str] = []

    def lines() -> Iterator[Line]:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("{") and "committed" in (found := json.loads(line)):
                yield time.perf_counter() - began, int(found["committed"])

    try:
        yield process, lines()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run ended with {process.returncode}: {''.join(said)[-PREVIEW:]}")


def until_killed(command: list[str], size: int) -> float:
    """Run until `DONE` of the input is committed, kill all of it, and return the share that was."""
    with started(command) as (process, lines):
        for _, committed in lines:
            if DONE * size <= committed < size:
                os.killpg(process.pid, signal.SIGKILL)
                return committed / size
    raise RuntimeError("the run was done before it could be killed; give it more --rows")


def resumed(table: Orders) -> Sample:
    """Kill a run and start it again: seconds from the second start to the first commit, and to the end."""
    room = table.csv.parent / "out"
    room.mkdir()
    target = room / "orders.csv"
    command = [GRISTMILL, "run", "benchmarks.handlers.rows:add_gross", str(table.csv), "-o", str(target)]
    command += ["--workers", str(WORKERS), "--progress", "json"]
    try:
        share = until_killed(command, table.size)
        began = time.perf_counter()
        first = None
        new = None
        with started(command) as (process, lines):
            for seconds, committed in lines:
                first = committed if first is None else first
                if new is None and committed > first:
                    new = seconds
            process.wait(timeout=TIMEOUT)
            whole = time.perf_counter() - began
        _check(table, target)
    finally:
        shutil.rmtree(room)
    return {"first": whole if new is None else new, "whole": whole, "share": share}


def _check(table: Orders, target: Path) -> None:
    with target.open("rb") as file:
        found = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    if found != table.newlines:
        raise RuntimeError(f"the resumed run wrote {found} lines instead of {table.newlines}")


def read_again(table: Orders) -> Sample:
    """The script that remembers how many rows are done: it reads all of them again, and drops them."""
    rows = str(int(table.rows * DONE))
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.row_peers", "skip", str(table.csv), rows]
    subprocess.run(command, check=True, timeout=TIMEOUT, cwd=ROOT)
    return {"first": time.perf_counter() - began, "share": DONE}


def run(settings: Settings) -> Report:
    report = Report("stream, resumed: killed by SIGKILL with 90 % committed, and started again", COLUMNS)
    rows = settings.rows or (300_000 if settings.quick else ROWS)
    ready = command_is_ready()
    if not ready:
        report.remarks.append("there is no `gristmill run` yet: the peer alone")
    taken: Passes = {}
    with orders(rows) as short, orders(rows * TIMES) as long:
        report.remarks.append(f"1x: {short}")
        report.remarks.append(f"{TIMES}x: {long}")
        subjects = {
            "csv.reader, 1x": lambda: read_again(short),
            f"csv.reader, {TIMES}x": lambda: read_again(long),
        }
        if ready:
            subjects |= {
                "gristmill, 1x": lambda: resumed(short),
                f"gristmill, {TIMES}x": lambda: resumed(long),
            }
        wanted = {name: subject for name, subject in subjects.items() if settings.wants(name.split(",")[0])}
        taken = interleave(wanted, settings.passes)
    report.samples["resume"] = taken
    for name, samples in taken.items():
        subject, _, file = name.partition(", ")
        whole = f"{spread(taken, name, 'whole'):.2f}" if "whole" in samples[0] else ""
        share = f"{spread(taken, name, 'share').median:.0%}"
        report.rows.append((subject, file, share, f"{spread(taken, name, 'first'):.2f}", whole))
    report.remarks.append(
        "csv.reader: reads the rows that are done again, and drops them; no output, no check"
    )
    longer, shorter = f"gristmill, {TIMES}x", "gristmill, 1x"
    report.judge(
        f"first new byte committed at {TIMES}x the file, against 1x",
        ratio(taken, longer, shorter, "first"),
        1.2,
    )
    again = ratio(taken, longer, f"csv.reader, {TIMES}x", "first")
    report.judge(f"first new byte committed at {TIMES}x, against reading again", again, 1.0)
    return report
