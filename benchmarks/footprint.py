"""Run a command to its end: wall time, CPU time, and the peak memory of all its processes together."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 0.025
"""Seconds between two samples of the memory of the tree."""
FAMILY_EVERY = 8
"""Samples between two looks for new children, which cost more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process tree took."""

    seconds: float
    cpu: float
    peak: float
    """Highest sum of the resident megabytes of all processes; pages that they share count in each."""
    status: int | None
    """The exit status; negative for a signal, None when it ran out of time and was killed."""
    said: str
    """The end of what it printed, both streams."""


def peak_of(pid: int, over: threading.Event) -> float:
    """Sample the resident memory of *pid* and its descendants until *over*; return the highest sum in MB."""
    family: list[psutil.Process] = []
    peak = 0.0
    sample = 0
    while True:
        try:
            if sample % FAMILY_EVERY == 0:
                first = psutil.Process(pid)
                family = [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return peak
        total = 0
        for member in family:
            try:
                total += member.memory_info().rss
            except psutil.Error:
                continue  # it ended; the next look at the family leaves it out
        peak = max(peak, total / 1e6)
        sample += 1
        if over.wait(EVERY):
            return peak


def run(
    command: Sequence[str], *, timeout: float = 600.0, environment: Mapping[str, str] | None = None, cwd: Path
) -> Run:
    """Run *command* in a session of its own and measure it; all of it is killed after *timeout* seconds."""
    over = threading.Event()
    peaks: list[float] = []
    out_of_time = threading.Event()
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=cwd,
            start_new_session=True,
        )

        def stop() -> None:
            out_of_time.set()
            os.killpg(process.pid, signal.SIGKILL)

        sampler = threading.Thread(target=lambda: peaks.append(peak_of(process.pid, over)))
        clock = threading.Timer(timeout, stop)
        sampler.start()
        clock.start()
        try:
            _, ended, used = os.wait4(process.pid, 0)
        finally:
            clock.cancel()
            over.set()
            sampler.join()
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(ended)
        log.seek(0)
        said = log.read().decode(errors="replace")
    return Run(
        seconds=seconds,
        cpu=used.ru_utime + used.ru_stime,
        peak=peaks[0],
        status=None if out_of_time.is_set() else process.returncode,
        said=said,
    )
