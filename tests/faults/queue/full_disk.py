"""A PostgreSQL whose tables lie on a small disk that gets full: `python -m ...full_disk FOLDER DISK`.

The disk is mounted where this process alone sees it, so the server and the workers are its children.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.faults.queue.conftest import Mill
from tests.faults.servers import PostgresServer

from gristmill.errors import StoreFull
from gristmill.queue.job_ref import JobRef

_PIECE = range(10**9, 10**9 + 10_000)
"""Items of some 100 kB."""


@contextlib.contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Leave nothing of *disk*, until the block ends."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    try:
        yield
    finally:
        ballast.unlink()


async def main(folder: Path, disk: Path) -> None:
    import asyncpg  # noqa: PLC0415 - only where a test needs it

    server = PostgresServer(folder)
    place = disk / "tables"
    place.mkdir(mode=0o700)
    if server.user is not None:
        os.chown(place, pwd.getpwnam(server.user).pw_uid, -1)
    admin = await asyncpg.connect(server.url)
    await admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    await admin.execute("ALTER DATABASE postgres SET default_tablespace = small")
    await admin.close()
    mill = Mill(server.url, folder)
    try:
        await _story(mill, disk)
    finally:
        await mill.close()
        server.close()


async def _story(mill: Mill, disk: Path) -> None:
    worker = await mill.worker("--mode", "wait_before", "--lease", "60")
    refs = [await mill.jobs.enqueue("numbers", range(start, start + 10)) for start in (0, 10)]
    await worker.says("holding")
    stored: list[JobRef] = []
    with _filled(disk):
        with contextlib.suppress(StoreFull):
            while len(stored) < 100:
                stored += [await mill.jobs.enqueue("numbers", _PIECE)]
        assert len(stored) < 100, "the disk never was full"
        mill.go()
        while not mill.seen():  # noqa: ASYNC110 - another process writes the file
            await asyncio.sleep(0.01)
        found = (await mill.jobs.list(limit=1000)).jobs  # reading goes on
        assert {job.id for job in found} == {ref.id for ref in (*refs, *stored)}
    refs.append(await mill.jobs.enqueue("numbers", range(20, 30)))
    for ref in (*refs, *stored):
        counts = (await mill.jobs.wait(ref.id, timeout=60)).counts
        assert counts.succeeded == counts.total
    for ref in (*refs, *stored):
        await mill.done(ref.id)
    assert all(mill.seen()[item] == 1 for item in range(30))
    print("done")  # noqa: T201 - the test reads it


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
