"""What the system tells about a process: the memory it holds, and whether somebody stopped it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class Memory:
    """Resident memory of a process, where the system tells (Linux).

    Args:
        pid: Which; None: this one.
    """

    __slots__ = ("_file", "_page")

    def __init__(self, pid: int | None = None) -> None:
        self._file: int | None = None
        self._page = 0
        if sys.platform == "linux":
            try:
                self._file = os.open(f"/proc/{'self' if pid is None else pid}/statm", os.O_RDONLY)
                self._page = os.sysconf("SC_PAGE_SIZE")
            except OSError:  # a system without /proc, or the process is gone
                pass

    def rss(self) -> int:
        """Return the bytes it holds now; 0: nobody knows, or it has ended."""
        if self._file is None:
            return 0
        try:
            fields = os.pread(self._file, 128, 0).split()
        except OSError:
            return 0
        return int(fields[1]) * self._page if len(fields) > 1 else 0

    def close(self) -> None:
        """Let go of what it reads from."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_stopped(pid: int) -> bool:
    """Tell whether SIGSTOP or a debugger keeps the process *pid* from running; False where nobody knows."""
    if sys.platform != "linux":
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] in {b"T", b"t"}
