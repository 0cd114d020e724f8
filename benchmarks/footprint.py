"""Run a command to its end: wall time, CPU time, and the peak memory of all its processes together."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil

EVERY = 0.05
"""Seconds between two samples of the memory of the tree."""
FAMILY_EVERY = 4
"""Samples between two looks for new children, which cost more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one process tree took."""

    seconds: float
    cpu: float
    peak: float
    """Highest sum of the resident megabytes of all processes; a page that several share counts once."""
    status: int | None
    """The exit status; negative for a signal, None when it ran out of time and was killed."""
    said: str
    """The end of what it printed, both streams."""


@dataclass(slots=True)
class Tree:
    """The processes of a run: the highest sum of their memory, and the CPU time last seen of each."""

    pid: int
    peak: float = 0.0
    cpu: dict[psutil.Process, float] = field(default_factory=dict)
    _family: list[psutil.Process] = field(default_factory=list)

    def watch(self, over: threading.Event) -> None:
        """Sample all of them until *over*, or until the first has ended."""
        for sample in count():
            if sample % FAMILY_EVERY == 0 and not self._look_around():
                return
            total = sum(self._sample(member) for member in self._family)
            self.peak = max(self.peak, total / 1e6)
            if over.wait(EVERY):
                return

    def _look_around(self) -> bool:
        try:
            first = psutil.Process(self.pid)
            self._family = [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return False
        return True

    def _sample(self, member: psutil.Process) -> int:
        try:
            used = member.cpu_times()
            self.cpu[member] = used.user + used.system
            if len(self._family) == 1:
                return int(member.memory_info().rss)
            return int(member.memory_full_info().pss)  # a share of each page, as many as share it
        except psutil.Error:
            return 0  # it ended; the next look leaves it out


def _environment() -> dict[str, str]:
    """Return our own environment, with bytecode kept for the next run: peers bring theirs."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(
    command: Sequence[str], *, timeout: float = 600.0, environment: Mapping[str, str] | None = None, cwd: Path
) -> Run:
    """Run *command* in a session of its own and measure it; all of it is killed after *timeout* seconds."""
    over = threading.Event()
    out_of_time = threading.Event()
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**_environment(), **(environment or {})},
            cwd=cwd,
            start_new_session=True,
        )

        def stop() -> None:
            out_of_time.set()
            os.killpg(process.pid, signal.SIGKILL)

        tree = Tree(process.pid)
        sampler = threading.Thread(target=tree.watch, args=(over,))
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
        # The kernel knows exactly of those that were waited for; children of a fork server are not.
        cpu=max(used.ru_utime + used.ru_stime, sum(tree.cpu.values())),
        peak=tree.peak,
        status=None if out_of_time.is_set() else process.returncode,
        said=said,
    )
