"""The history of a soak: what handlers saw and what was done to them, one line each, written at once.

A kill loses nothing of a line that was written, and lines of several processes do not mix: the file is
opened for appending, and each line is one write. Times are ``time.monotonic()``, one clock for all
processes of a machine.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLACES = 100_000
"""An item is its job's serial number times this, plus its place in the job."""


def item_of(serial: int, place: int) -> int:
    return serial * PLACES + place


@dataclass(slots=True, kw_only=True)
class Run:
    """One call of the handler.

    Attributes:
        id: Its name, which is also the value of each item that it lets succeed.
        worker: Whose process it ran in.
        attempt: What the handler was told.
        items: What it was given.
        start: When it began.
        end: When it ended; of one that was killed, when its process was.
        how: ``ok``, ``raised``, ``cancelled``, ``killed``; ``open`` if nobody knows.
        refused: Items that it failed.
    """

    id: str
    worker: str
    attempt: int
    items: tuple[int, ...]
    start: float
    end: float = math.inf
    how: str = "open"
    refused: frozenset[int] = frozenset()


@dataclass(slots=True, kw_only=True)
class Trouble:
    """A time in which a worker, or all, could not keep leases: it, the store or the machine stood still."""

    worker: str | None
    start: float
    end: float = math.inf


@dataclass(slots=True)
class History:
    """What happened."""

    runs: list[Run] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)

    def count(self, mark: str) -> int:
        return self.marks.get(mark, 0)

    @property
    def deliveries(self) -> int:
        """How often an item was handed to the handler."""
        return sum(len(run.items) for run in self.runs)


class Notes:
    """Writes the history."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, **more: Any) -> None:
        """Note *what*, now."""
        line = {"at": time.monotonic(), "what": what, **more}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        os.close(self._file)


def read_history(path: Path) -> History:
    """Return what was noted in *path*."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return history_of(lines)


def history_of(lines: list[dict[str, Any]]) -> History:
    """Return the history that *lines* tell."""
    reader = _Reader()
    for line in sorted(lines, key=lambda each: each["at"]):
        reader.read(line)
    reader.history.runs.sort(key=lambda run: run.start)
    return reader.history


class _Reader:
    def __init__(self) -> None:
        self.history = History()
        self._runs: dict[str, Run] = {}
        self._open: dict[str, Run] = {}
        self._troubles: dict[str | None, Trouble] = {}

    def read(self, line: dict[str, Any]) -> None:
        what = line["what"]
        marks = self.history.marks
        marks[what] = marks.get(what, 0) + 1
        if what == "start":
            self._start(line)
        elif what == "end":
            run = self._runs[line["run"]]  # it may have ended just between the note of a kill and the kill
            self._open.pop(run.id, None)
            run.end, run.how = line["at"], line["how"]
            run.refused = frozenset(line.get("refused", ()))
        elif what in ("kill", "exit"):
            self._ended(line["worker"], line["at"])
        elif what == "stall":
            self._stalled(line)
        elif what in ("freeze", "stop"):
            trouble = Trouble(worker=line.get("worker"), start=line["at"])
            self.history.troubles.append(trouble)
            self._troubles[trouble.worker] = trouble
        elif what in ("thaw", "back"):
            self._troubles.pop(line.get("worker")).end = line["at"]

    def _start(self, line: dict[str, Any]) -> None:
        run = Run(
            id=line["run"],
            worker=line["worker"],
            attempt=line["attempt"],
            items=tuple(line["items"]),
            start=line["at"],
        )
        self._runs[run.id] = self._open[run.id] = run
        self.history.runs.append(run)

    def _stalled(self, line: dict[str, Any]) -> None:
        """Note a stall as everybody's: who stood still may have held what others need. A freeze is none."""
        start, end, worker = line["since"], line["at"], line["worker"]
        frozen = (each for each in self.history.troubles if each.worker == worker is not None)
        if not any(each.start <= end and each.end >= start for each in frozen):
            self.history.troubles.append(Trouble(worker=None, start=start, end=end))

    def _ended(self, worker: str, at: float) -> None:
        """End what still ran in the process that is gone."""
        for run in [each for each in self._open.values() if each.worker == worker]:
            run.end, run.how = at, "killed"
            del self._open[run.id]
