"""Servers whose disk, or whose memory, is full, with workers in the middle of their batches.

The full disk of an SQLite file is in ``tests/faults/test_sqlite_store.py``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.faults.servers import ValkeyServer

from gristmill.errors import StoreFull

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[3]


def _on_a_small_disk(disk: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* where *disk* is one of 16 MiB that nobody else sees, as the user that we are."""
    script = 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"'
    ours = ["unshare", "--mount"]
    theirs: list[str] = []
    if os.geteuid():  # a user may mount in a user namespace, as its root; PostgreSQL runs as no root
        ours = ["unshare", "--user", "--map-root-user", "--mount"]
        theirs = ["unshare", "--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}"]
    return subprocess.run(
        [*ours, "sh", "-c", script, str(disk), *theirs, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_of_postgresql_refuses_new_jobs_and_outcomes_wait_for_room() -> None:
    with tempfile.TemporaryDirectory(prefix="gm-full-", ignore_cleanup_errors=True) as folder:
        disk = Path(folder, "disk")
        disk.mkdir()
        if shutil.which("unshare") is None or _on_a_small_disk(disk, "true").returncode:
            pytest.skip("this machine lets nobody mount a small disk of their own")
        script = (sys.executable, "-m", "tests.faults.queue.full_disk")
        done = _on_a_small_disk(disk, *script, folder, str(disk))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "done\n"


async def test_full_memory_of_valkey_refuses_new_jobs_and_old_ones_are_worked_to_their_end(
    mill_at: Any, tmp_path: Path
) -> None:
    import redis.asyncio  # noqa: PLC0415 - only where a test needs it

    server = await asyncio.to_thread(ValkeyServer, tmp_path / "valkey")
    try:
        async with mill_at(server.url) as mill, redis.asyncio.Redis(port=server.target) as client:
            worker = await mill.worker("--mode", "wait_before", "--size", "10")
            old = [await mill.jobs.enqueue("numbers", range(at, at + 10)) for at in range(0, 50, 10)]
            await worker.says("holding")
            await client.config_set("maxmemory", 1 << 20)  # less than it has
            with pytest.raises(StoreFull):
                await mill.jobs.enqueue("numbers", range(100, 110))
            mill.go()
            for ref in old:
                assert (await ref.wait(60)).counts.succeeded == 10
            with pytest.raises(StoreFull):
                await mill.jobs.enqueue("numbers", range(100, 110))
            await client.config_set("maxmemory", 0)
            new = await mill.jobs.enqueue("numbers", range(50, 60))
            for ref in (*old, new):
                await ref.wait(60)
                await mill.done(ref.id)
            assert mill.seen() == dict.fromkeys(range(60), 1)
            assert len((await mill.jobs.list(limit=100)).jobs) == 6
    finally:
        await asyncio.to_thread(server.close)
