"""Whether a server keeps what it is given, told from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.errors import StoreMisconfigured

OLDEST = 7
"""The first version of Redis whose scripts may say what they do when memory is full."""

_SYNC = {
    "always": "append-only file, fsync on every write",
    "everysec": "append-only file, fsync every second",
    "no": "append-only file, fsync when the system likes",
}


def check(info: Mapping[str, Any], *, is_unsafe: bool) -> list[str]:
    """Return what cannot be told, or is taken all the same; for the log.

    Args:
        info: The answer to ``INFO``; empty where the server does not tell.
        is_unsafe: Take a server that may lose jobs.

    Raises:
        StoreMisconfigured: It is too old, or would lose jobs.
    """
    if not info:
        return ["it tells nothing of itself: see that maxmemory-policy is noeviction and appendonly is yes"]
    version = str(info.get("redis_version", OLDEST))
    if int(version.partition(".")[0]) < OLDEST:
        raise StoreMisconfigured(f"the server is Redis {version}; {OLDEST} or newer is needed, or Valkey")
    faults = _faults(info)
    if faults and not is_unsafe:
        raise StoreMisconfigured(
            f"{'; '.join(faults)}. Change the server's configuration, "
            "or take it as it is by ?unsafe=true in the URL"
        )
    return faults


def _faults(info: Mapping[str, Any]) -> list[str]:
    faults = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        faults.append(
            f"it throws jobs away when memory is full (set maxmemory-policy to noeviction, not {policy})"
        )
    if not info.get("aof_enabled", 1):
        faults.append("it forgets jobs when it restarts (set appendonly to yes)")
    return faults


def durability(info: Mapping[str, Any], fsync: str | None, *, waits_for_file: bool) -> str:
    """Return what a job survives once it is enqueued, for people.

    Args:
        info: The answer to ``INFO``; empty where the server does not tell.
        fsync: Its ``appendfsync``; None where it does not tell.
        waits_for_file: Whether an enqueue waits for the file.
    """
    faults = _faults(info)
    if not info.get("aof_enabled", 1):
        text = "memory only"
    elif waits_for_file:
        text = "append-only file, fsync before an enqueue is acknowledged"
    else:
        text = _SYNC.get(fsync or "", "append-only file")
    return f"{text} (unsafe: {'; '.join(faults)})" if faults else text
