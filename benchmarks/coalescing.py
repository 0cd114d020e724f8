"""What coalescing costs per item beside the floor of one future per item and beside aiodataloader."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import Report, Sample, Settings, difference, interleave, ratio, spread

BURST = ("floor", "floor_by_batch", "gristmill", "aiodataloader")
LOOPS = {"uvloop": 100, "asyncio": 100, "uvloop, batches of 1000": 1000}


def measured(subject: str, scenario: str, seconds: float, *, loop: str = "uvloop", size: int = 100) -> Sample:
    command = [sys.executable, "-m", "benchmarks.coalescers", subject, scenario]
    command += ["--seconds", str(seconds), "--loop", loop, "--size", str(size)]
    done = subprocess.run(command, timeout=seconds * 10 + 30, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def subjects(
    names: tuple[str, ...], scenario: str, settings: Settings, *, loop: str = "uvloop", size: int = 100
) -> dict[str, Callable[[], Sample]]:
    seconds = min(settings.seconds, 1.0)
    return {
        name: lambda name=name: measured(name, scenario, seconds, loop=loop, size=size)
        for name in names
        if settings.wants(name)
    }


def burst(report: Report, settings: Settings) -> None:
    for title, size in LOOPS.items():
        loop = title.split(",")[0]
        taken = interleave(subjects(BURST, "burst", settings, loop=loop, size=size), settings.passes)
        report.samples[f"burst, {title}"] = taken
        for name in taken:
            against = ratio(taken, name, "floor", "us")
            row = (f"10 000 callers, {title}", name, f"{spread(taken, name, 'us'):.2f}")
            report.rows.append((*row, f"{against:.2f}" if against else ""))
        if title != "uvloop":
            continue
        target = "an item coalesced on uvloop, against the bare-future floor"
        report.judge(target, ratio(taken, "gristmill", "floor", "us"), 1.15)
        target = "the same against the floor that settles one batch a turn (stricter)"
        report.judge(target, ratio(taken, "gristmill", "floor_by_batch", "us"), 1.15)
        target = "an item coalesced on uvloop, against aiodataloader"
        report.judge(target, ratio(taken, "gristmill", "aiodataloader", "us"), 1.0)


def lone(report: Report, settings: Settings) -> None:
    taken = interleave(subjects(("handler", *BURST), "lone", settings), settings.passes)
    report.samples["lone"] = taken
    for name in taken:
        report.rows.append(("one call alone, uvloop", name, f"{spread(taken, name, 'us'):.2f}", ""))
    added = difference(taken, "gristmill", "handler", "us")
    report.judge("a lone call, over awaiting the handler itself", added, 15, unit="µs")


def many(report: Report, settings: Settings) -> None:
    taken = interleave(subjects(("gristmill",), "many", settings), settings.passes)
    report.samples["many"] = taken
    if "gristmill" in taken:
        found = spread(taken, "gristmill", "us")
        report.rows.append(("lists of 1000 through .many", "gristmill", f"{found:.3f}", ""))
        report.judge("an item handed over in a list of 1000", found, 0.5, unit="µs")


def idle(report: Report, settings: Settings) -> None:
    taken = interleave(subjects(("gristmill",), "idle", settings), min(settings.passes, 3))
    report.samples["idle"] = taken
    if "gristmill" in taken:
        found = spread(taken, "gristmill", "wakeups")
        report.judge("wakeups while idle, of the whole process", found, 0, unit="wakeups")


def run(settings: Settings) -> Report:
    report = Report("coalescing a no-op handler", ("load", "subject", "µs CPU an item", "x the floor"))
    report.remarks.append("each subject and pass in a process of its own; batches of 100 unless named")
    burst(report, settings)
    lone(report, settings)
    many(report, settings)
    idle(report, settings)
    return report
