"""One command, started again and again, and killed at random instants: it, its workers, or all of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
_DONE = (0, 3)
"""Exit codes of a run that is over."""
_LONGEST = 120.0
_GONE_WITHIN = 15.0


class Killer:
    """Kills a command until it is done.

    Args:
        folder: Where it runs.
        words: Return what follows ``gristmill run``; asked at each start, as some options may change.
        chance: Decides what is killed, and when.
        seconds: What the command takes when nobody kills it.

    Attributes:
        kills: ``driver``, ``all`` or ``worker`` -> how many SIGKILLs there were.
        starts: How often it was started.
    """

    def __init__(
        self, folder: Path, words: Callable[[], list[str]], chance: random.Random, seconds: float
    ) -> None:
        self._folder = folder
        self._words = words
        self._chance = chance
        self._seconds = seconds
        self._sessions: list[int] = []
        self.kills: Counter[str] = Counter()
        self.starts = 0

    @property
    def deaths(self) -> int:
        """How often the driver was killed."""
        return self.kills["driver"] + self.kills["all"]

    def until_done(self, most: int) -> None:
        """Start it until it is done, and kill its driver *most* times at most.

        Raises:
            AssertionError: It ended otherwise than done or killed, or left processes behind.
        """
        while self.deaths < most:
            if self._blow():
                break
        else:
            self._end(start(self._folder, self._words()))
            self.starts += 1
        self._check_sessions()

    def _blow(self) -> bool:
        """Start the command and kill it, or a worker and then it; tell whether it was done before."""
        process = start(self._folder, self._words())
        self.starts += 1
        self._sessions.append(process.pid)
        until = self._chance.uniform(0.0 if self._chance.random() < 0.2 else 0.2, 1.05) * self._seconds
        try:
            if self._chance.random() < 0.3:
                first = self._chance.uniform(0.3, 1.0) * until
                until -= first
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(first)
                self._kill_worker(process.pid)
            process.wait(until)
        except subprocess.TimeoutExpired:
            return self._kill_driver(process)
        self._end(process)
        return True

    def _kill_worker(self, driver: int) -> None:
        found = [each for each in members(driver) if each != driver]
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(found), signal.SIGKILL)
                self.kills["worker"] += 1

    def _kill_driver(self, process: subprocess.Popen[bytes]) -> bool:
        """Kill *process*; tell whether it was done before that."""
        if self._chance.random() < 0.5:
            os.killpg(process.pid, signal.SIGKILL)
            what = "all"
        else:
            process.kill()
            what = "driver"
        if process.wait() == -signal.SIGKILL:
            self.kills[what] += 1
            return False
        self._end(process)
        return True

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.wait(_LONGEST) not in _DONE:
            said = (self._folder / "log").read_text(errors="replace")[-2000:]
            raise AssertionError(f"exit code {process.returncode} after {dict(self.kills)}: {said}")

    def _check_sessions(self) -> None:
        """Raise if a process of a run that was killed lives on."""
        until = time.monotonic() + _GONE_WITHIN
        while left := [each for session in self._sessions for each in members(session)]:
            if time.monotonic() > until:
                raise AssertionError(f"processes {left} outlive the runs that started them")
            time.sleep(0.05)
        self._sessions.clear()


def start(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """Start ``gristmill run`` in a session of its own."""
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "gristmill.cli", "run", *words, "--progress", "none"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )


def unbroken(folder: Path, words: list[str]) -> float:
    """Run it without a kill, and return the seconds it took."""
    began = time.monotonic()
    process = start(folder, words)
    if process.wait(_LONGEST) not in _DONE:
        raise AssertionError(f"exit code {process.returncode}: {(folder / 'log').read_text()}")
    return time.monotonic() - began


def members(session: int) -> list[int]:
    """Return the living processes of *session*."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _, _, its = (each / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(its) == session and state != "Z":
                    found.append(int(each.name))
    return found
