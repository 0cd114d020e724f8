"""Whether a server keeps what it is given, told from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gristmill.errors import StoreMisconfigured

OLDEST = 7
"""The first version of Redis whose scripts may say that they run when memory is full."""

ASKED = ("maxmemory-policy", "appendonly", "appendfsync")
"""The settings that are wanted of ``CONFIG GET``."""

_SYNC = {
    "always": "append-only file, fsync on every write",
    "everysec": "append-only file, fsync every second",
    "no": "append-only file, fsync when the system likes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What a server tells of itself; None where it does not.

    Attributes:
        version: Of Redis, or the one that Valkey stands in for.
        policy: What it throws away when memory is full.
        is_appending: Whether it writes an append-only file.
        fsync: When it sees to it that the file is on disk.
    """

    version: str | None
    policy: str | None
    is_appending: bool | None
    fsync: str | None

    @property
    def faults(self) -> list[str]:
        """Why it may lose jobs, and what to change."""
        found = []
        if self.policy not in (None, "noeviction"):
            found.append("it throws jobs away when memory is full, set maxmemory-policy to noeviction")
        if self.is_appending is False:
            found.append("it forgets jobs when it restarts, set appendonly to yes")
        return found

    @property
    def secrets(self) -> list[str]:
        """What it does not tell, and would have to be."""
        found = []
        if self.policy is None:
            found.append("maxmemory-policy is noeviction")
        if self.is_appending is None:
            found.append("appendonly is yes")
        return found


def server_from(info: Mapping[str, Any], config: Mapping[str, str]) -> Server:
    """Return what ``INFO`` and ``CONFIG GET`` tell together; managed servers forbid one or the other."""
    version = info.get("redis_version")
    appends = config.get("appendonly", {0: "no", 1: "yes"}.get(info.get("aof_enabled", -1)))
    return Server(
        version=None if version is None else str(version),
        policy=config.get("maxmemory-policy", info.get("maxmemory_policy")),
        is_appending=None if appends is None else appends == "yes",
        fsync=config.get("appendfsync"),
    )


def check(server: Server, *, is_unsafe: bool) -> list[str]:
    """Return what is doubtful about *server*, for the log.

    Args:
        server: What it tells of itself.
        is_unsafe: Take it although it may lose jobs.

    Raises:
        StoreMisconfigured: It is too old, or would lose jobs.
    """
    if server.version is not None and int(server.version.partition(".")[0]) < OLDEST:
        raise StoreMisconfigured(f"it is Redis {server.version}; {OLDEST} or newer is needed")
    faults = server.faults
    if faults and not is_unsafe:
        raise StoreMisconfigured(
            f"the server may lose jobs: {'; '.join(faults)}; or take it as it is by ?unsafe=true in the URL"
        )
    return faults + [f"it does not tell whether {secret}: see to it" for secret in server.secrets]


_FULL = 0.9
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """How full a server's memory is.

    Attributes:
        used: Bytes.
        most: Bytes that it may use, by ``maxmemory``; 0 is no limit.
    """

    used: int
    most: int

    def __str__(self) -> str:
        """Say it, and what to do."""
        return (
            f"has used {self.used / _MIB:.0f} of the {self.most / _MIB:.0f} MiB of its maxmemory, and takes "
            "no new jobs when that is full: give it more, keep final jobs for less time, or add workers"
        )

    @property
    def is_roomy(self) -> bool:
        """Whether there is room left for a while."""
        return not self.most or self.used < _FULL * self.most


def memory_from(info: Mapping[str, Any]) -> Memory:
    """Return what ``INFO memory`` tells; no limit where it tells nothing."""
    used, most = info.get("used_memory"), info.get("maxmemory")
    if not (isinstance(used, int) and isinstance(most, int)):
        return Memory(used=0, most=0)
    return Memory(used=used, most=most)


def durability(server: Server, *, waits_for_file: bool) -> str:
    """Return what a job survives once it is enqueued, for people.

    Args:
        server: What it tells of itself.
        waits_for_file: Whether an enqueue waits for the file.
    """
    if server.is_appending is False:
        text = "memory only"
    elif waits_for_file:
        text = "append-only file, fsync before an enqueue is acknowledged"
    else:
        text = _SYNC.get(server.fsync or "", "append-only file")
    return f"{text} (unsafe: {'; '.join(server.faults)})" if server.faults else text
