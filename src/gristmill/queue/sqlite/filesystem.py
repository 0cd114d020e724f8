"""Which filesystem a file is on, and whether it takes writes.

On a network one, SQLite's locks and shared memory cannot be relied on.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

NETWORK = frozenset(
    (
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fuse.sshfs",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    )
)
"""Names, as Linux tells them."""

_MOUNTS = Path("/proc/self/mountinfo")


def is_read_only(folder: Path) -> bool:
    """Tell whether the filesystem of *folder* is mounted without the right to write."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def network_filesystem(folder: Path) -> str | None:
    """Return what network filesystem *folder* is on; None for a local one, or where nobody tells."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    kind = filesystem_of(PurePosixPath(folder.resolve()), mounts)
    return kind if kind in NETWORK else None


def filesystem_of(folder: PurePosixPath, mounts: str) -> str:
    """Return the filesystem of *folder* by *mounts*, in the format of ``/proc/self/mountinfo``."""
    deepest, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = PurePosixPath(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split()[4]))
        # Of two mounts on one folder, the later one hides the earlier.
        if folder.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), after.split()[0]
    return found
