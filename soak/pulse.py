"""A pulse in each process of a soak: it tells when the machine gave it no time, or no disk.

A lease is kept by whoever gets to run, and to write, in time. On a machine that is overloaded nobody can
promise that, and what happens then is no fault of the queue. So a thread that needs nothing of the queue
writes to a file of its own all the time, and notes whenever that took too long. A handler that blocks its
event loop does not hold it up.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from soak.history import Notes


class Pulse:
    """Notes each time that its process stood still.

    Args:
        path: A file of its own.
        notes: Where stalls are noted.
        worker: Whose process it is; None for the users'.
        beat: Seconds between two beats; twice that is a stall.
    """

    def __init__(self, path: Path, notes: Notes, worker: str | None, beat: float) -> None:
        self._path = path
        self._notes = notes
        self._worker = worker
        self._beat = beat
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        last = time.monotonic()
        while not self._is_over.wait(self._beat):
            os.pwrite(file, b"beat", 0)
            os.fsync(file)
            now = time.monotonic()
            if now - last > 2 * self._beat:
                self._notes.note("stall", worker=self._worker, since=last)
            last = now
        os.close(file)
