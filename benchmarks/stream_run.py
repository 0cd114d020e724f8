"""Run one subject over the table of orders: its command, a fresh output folder, what it took, the checks."""

from __future__ import annotations

import csv
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import footprint
from benchmarks.measure import Report, Sample, Settings
from benchmarks.orders import Orders, orders
from benchmarks.processes import HERE

ROOT = HERE.parent
GRISTMILL = str(Path(sys.executable).with_name("gristmill"))
WORKERS = 2
CHECKED = 20_000
"""Rows of the small table with which every subject is checked before anything is timed."""
PEAK = "peak: resident MB of all processes, sampled each 50 ms; a page that several share counts once"
PREVIEW = 2000
"""Characters of a failed subject's output that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A command that reads one file and writes one; `{source}` and `{target}` stand for their paths."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    """The one format that it can read and write; empty: all."""

    def run(self, source: Path, target: Path, *, timeout: float = 600.0) -> footprint.Run:
        places = {"{source}": str(source), "{target}": str(target)}
        command = [places.get(word, word) for word in self.command]
        return footprint.run(command, timeout=timeout, environment=self.environment, cwd=ROOT)


def command_is_ready() -> bool:
    """Does `gristmill run` exist?"""
    asked = subprocess.run([GRISTMILL, "run", "--help"], capture_output=True, timeout=60, check=False)
    return asked.returncode == 0


def ours(name: str, handler: str, *options: str, workers: int = WORKERS) -> Subject:
    """Gristmill as its users run it."""
    command = [GRISTMILL, "run", f"benchmarks.handlers.{handler}", "{source}", "-o", "{target}"]
    return Subject(name=name, command=[*command, "--workers", str(workers), *options])


def measured(subject: Subject, table: Orders, form: str) -> Sample:
    """One run from a warm page cache into an empty folder of its own.

    Raises:
        RuntimeError: It failed, or its output has another number of rows.
    """
    room = table.csv.parent / "out"
    room.mkdir()
    try:
        os.sync()  # what others left to write is not this subject's to wait for
        ran = subject.run(table.of(form), room / f"orders.{form}")
        if ran.status != 0:
            raise RuntimeError(f"{subject.name} ended with {ran.status}: {ran.said[-PREVIEW:]}")
        found = _count(room / f"orders.{form}", form)
        wanted = table.newlines if form == "csv" else table.rows
        if found != wanted:
            raise RuntimeError(f"{subject.name} wrote {found} lines or rows instead of {wanted}")
        began = time.perf_counter()
        for file in _files(room / f"orders.{form}", form):
            with file.open("rb") as written:
                os.fsync(written.fileno())
        synced = time.perf_counter() - began
    finally:
        shutil.rmtree(room)
    return {
        "seconds": ran.seconds,
        "rows": table.rows / ran.seconds,
        "synced": table.rows / (ran.seconds + synced),
        "cpu": ran.cpu,
        "peak": ran.peak,
    }


def _files(target: Path, form: str) -> list[Path]:
    """An output is a file, or a folder of parts."""
    return sorted(target.rglob(f"*.{form}")) if target.is_dir() else [target]


def _count(target: Path, form: str) -> int:
    total = 0
    for path in _files(target, form):
        if form == "parquet":
            from pyarrow import parquet  # noqa: PLC0415 - not for those who measure CSV

            total += parquet.read_metadata(path).num_rows
            continue
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total += block.count(b"\n")
    return total


def check(subjects: Sequence[Subject], form: str) -> None:
    """Hold every subject to the same output: each row in its place, its fields as they were, `gross` added.

    Raises:
        RuntimeError: One of them wrote something else.
    """
    with orders(CHECKED) as table:
        for subject in subjects:
            target = table.csv.parent / f"checked.{form}"
            ran = subject.run(table.of(form), target, timeout=120)
            if ran.status != 0:
                raise RuntimeError(f"{subject.name} ended with {ran.status}: {ran.said[-PREVIEW:]}")
            pairs = zip(_rows(table.of(form), form), _rows(target, form), strict=True)
            for number, (before, after) in enumerate(pairs):
                if not _is_right(before, after):
                    raise RuntimeError(f"{subject.name} made {after} of row {number}, {before}")
            for left in (target.parent).glob("checked.*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def _rows(target: Path, form: str) -> Iterator[dict[str, str]]:
    for path in _files(target, form):
        if form == "parquet":
            from pyarrow import parquet  # noqa: PLC0415 - as above

            for row in parquet.read_table(path).to_pylist():
                yield {name: str(value) for name, value in row.items()}
            continue
        with path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def _is_right(before: Mapping[str, str], after: dict[str, str]) -> bool:
    gross = float(after.pop("gross"))
    amount = float(before["amount"])
    same = all(after[name].casefold() == before[name].casefold() for name in before if name != "amount")
    # Half a cent may go up or down; a float may be written with more or fewer digits.
    return same and math.isclose(float(after["amount"]), amount) and abs(gross - amount * 1.19) < 0.00501


def chosen(subjects: Sequence[Subject], settings: Settings, report: Report) -> list[Subject]:
    """The subjects that were asked for; ours only once there is a command."""
    wanted = [subject for subject in subjects if settings.wants(subject.name)]
    if command_is_ready():
        return wanted
    report.remarks.append("there is no `gristmill run` yet: the peers alone")
    return [subject for subject in wanted if not subject.name.startswith("gristmill")]
