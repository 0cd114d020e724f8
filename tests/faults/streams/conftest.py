"""Runs that are killed at random instants, again and again, until they are through."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@dataclass
class Hammer:
    """Kills one command again and again.

    Attributes:
        folder: Where it runs.
        arguments: What follows ``gristmill run``.
        chance: Decides when.
        kills: How often it was killed.
        starts: How often it was started.
    """

    folder: Path
    arguments: list[str]
    chance: random.Random
    longest: float = 1.6
    kills: int = 0
    starts: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        return subprocess.Popen(
            [sys.executable, "-m", "gristmill.cli", "run", *self.arguments, "--progress", "none"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def blow(self) -> int | None:
        """Start the command and kill it after a while, alone or with its workers; its code if it was done."""
        process = self.start()
        try:
            process.wait(self.chance.uniform(0.05, self.longest))
        except subprocess.TimeoutExpired:
            if self.chance.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            self.kills += 1
        _, said = process.communicate()
        code = process.returncode
        if code not in (0, 3, -signal.SIGKILL):
            raise AssertionError(f"exit code {code} after {self.kills} kills: {said.decode()}")
        return None if code == -signal.SIGKILL else code

    def until_done(self, kills: int) -> None:
        """Kill it at most *kills* times; then let it end."""
        while self.kills < kills:
            if self.blow() is not None:
                return
        process = self.start()
        _, said = process.communicate(timeout=120)
        if process.returncode not in (0, 3):
            raise AssertionError(f"exit code {process.returncode} at the end: {said.decode()}")


@pytest.fixture(scope="session")
def hammer() -> type[Hammer]:
    """Return the class, which test modules cannot import."""
    return Hammer
