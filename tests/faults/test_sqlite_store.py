"""The SQLite store when its process is killed, and when its disk is full."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import textwrap

import apsw
import pytest

from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.sqlite.store import SqliteStore

# Says each job's id once the store has answered: "+" that it is stored, "-" that it is settled.
STREAM = """
import asyncio, sys
from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.sqlite.store import SqliteStore

async def enqueue(store, name):
    number = 0
    while True:
        number += 1
        job = f"job_{name}_{number}"
        chunks = [NewChunk(job=job, places=((at, 5),), items=5, body=b"[1,2,3,4,5]") for at in (0, 5)]
        await store.enqueue([(NewJob(id=job, queue="numbers"), chunks)])
        print("+" + job, flush=True)

async def work(store):
    while True:
        claim = await store.claim("numbers", worker="w", max_items=20, max_bytes=1 << 20, seconds=0)
        if not isinstance(claim, Claim):
            await store.wait(["numbers"], 1)
            continue
        results = tuple(
            NewResult(job=c.job, kind=ResultKind.SUCCEEDED, places=c.places, items=c.items, body=c.body)
            for c in claim.chunks
        )
        assert await store.settle(Settlement(lease=claim.lease, results=results)) is Settled.SETTLED
        for chunk in claim.chunks:
            print(f"-{chunk.job} {chunk.places[0][0]}", flush=True)

async def main(url, name):
    store = SqliteStore(url)
    await store.open()
    await asyncio.gather(*(enqueue(store, f"{name}_{at}") for at in range(20)), work(store), work(store))

asyncio.run(main(*sys.argv[1:]))
"""


def killed_in_the_middle(url, name, lines):
    """Run the stream, kill it after so many *lines*, and return all that it was told."""
    process = subprocess.Popen([sys.executable, "-c", STREAM, url, name], stdout=subprocess.PIPE, text=True)
    told = [process.stdout.readline() for _ in range(lines)]
    process.kill()
    rest, _ = process.communicate()
    assert process.returncode == -9
    # The pipe keeps what was said before the end; the last line may be half.
    told += rest.splitlines(keepends=True)
    return [line.strip() for line in told if line.endswith("\n")]


async def test_what_was_acknowledged_before_a_kill_is_there_after_it(tmp_path):
    path = tmp_path / "queue.db"
    url, told = f"sqlite:///{path}", []
    for life in range(4):
        told += await asyncio.to_thread(killed_in_the_middle, url, f"{life}", 150 + 40 * life)
    store = SqliteStore(url)
    await store.open()
    stored = {line[1:] for line in told if line.startswith("+")}
    settled = {tuple(line[1:].split()) for line in told if line.startswith("-")}
    assert stored
    assert settled
    jobs = [await store.job(job) for job in stored]
    assert all(job is not None and job.counts.total == 10 for job in jobs)
    for job, first in settled:
        (result,) = await store.results_between(job, int(first), int(first))
        assert (result.kind, result.items) == (ResultKind.SUCCEEDED, 5)
    await drain(store)
    page = await store.jobs(limit=100_000)
    assert {job.id for job in page.jobs} >= stored
    assert {(job.counts.succeeded, job.counts.total) for job in page.jobs} == {(10, 10)}
    for job in page.jobs:  # every item once
        assert [result.places for result in await store.results_between(job.id, 0, 9)] in (
            [((0, 5),), ((5, 5),)],
            [((5, 5),), ((0, 5),)],
        )
    await store.close()
    connection = apsw.Connection(str(path))
    assert connection.pragma("integrity_check") == "ok"
    connection.close()


async def drain(store):
    async def settle(claim):
        results = tuple(
            NewResult(job=c.job, kind=ResultKind.SUCCEEDED, places=c.places, items=c.items, body=c.body)
            for c in claim.chunks
        )
        assert await store.settle(Settlement(lease=claim.lease, results=results)) is Settled.SETTLED

    while (claim := await store.take_over(worker="r", seconds=60)) is not None:
        await settle(claim)
    while isinstance(
        claim := await store.claim("numbers", worker="w", max_items=1000, max_bytes=1 << 20, seconds=60),
        Claim,
    ):
        await settle(claim)


ON_A_FULL_DISK = """
import asyncio, pathlib, sys
from gristmill.errors import StoreFull
from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.sqlite.store import SqliteStore

async def fill(store, name, size):
    body = b"[" + b"1" * size + b"]"
    for number in range(10_000):
        job = f"job_{name}_{number}"
        try:
            await store.enqueue([(NewJob(id=job, queue="numbers"),
                [NewChunk(job=job, places=((0, 1),), items=1, body=body)])])
        except StoreFull:
            return number
    raise AssertionError("the disk never was full")

async def drain(store):
    done = 0
    while isinstance(claim := await store.claim(
        "numbers", worker="w", max_items=3, max_bytes=1 << 30, seconds=0), Claim
    ):
        results = tuple(
            NewResult(job=c.job, kind=ResultKind.SUCCEEDED, places=c.places, items=c.items, body=c.body)
            for c in claim.chunks
        )
        assert await store.settle(Settlement(lease=claim.lease, results=results)) is Settled.SETTLED
        done += claim.items
    return done

async def main(folder):
    store = SqliteStore(f"sqlite:///{folder}/queue.db")
    await store.open()
    for life, size in enumerate((1_000_000, 20_000, 1_000_000)):
        stored = await fill(store, life, size)
        assert stored > 5, stored
        try:
            job = f"job_large_{life}"
            await store.enqueue([(NewJob(id=job, queue="numbers"),
                [NewChunk(job=job, places=((0, 1),), items=1, body=bytes(100_000_000))])])
        except StoreFull:
            pass
        assert await drain(store) == stored
        page = await store.jobs(limit=100_000)
        assert all(job.counts.succeeded == 1 for job in page.jobs)
        while await store.prune("numbers", older_than=-1):
            pass
    stored = await fill(store, "last", 1_000_000)
    ballast = pathlib.Path(folder, "ballast")
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError:
            pass
    try:
        await drain(store)
    except StoreFull:
        pass  # nothing is left for anybody: it is told, and nothing is lost
    ballast.unlink()
    await store.close()
    store = SqliteStore(f"sqlite:///{folder}/queue.db")
    await store.open()
    while (claim := await store.take_over(worker="r", seconds=60)) is not None:
        await store.release(claim.lease)
    await drain(store)
    page = await store.jobs(limit=100_000)
    assert [job.counts.succeeded for job in page.jobs] == [1] * stored
    await store.close()
    print("done")

asyncio.run(main(*sys.argv[1:]))
"""


def on_a_disk_of_its_own(folder, size, *command):
    """Run *command* where *folder* is a small disk that nobody else sees."""
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(folder), *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_takes_no_new_work_and_lets_the_old_be_settled(tmp_path):
    if shutil.which("unshare") is None or on_a_disk_of_its_own(tmp_path, "1m", "true").returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own")
    done = on_a_disk_of_its_own(
        tmp_path, "40m", sys.executable, "-c", textwrap.dedent(ON_A_FULL_DISK), str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"


ON_A_READ_ONLY_DISK = """
import asyncio, subprocess, sys
from gristmill.errors import StoreReadOnly
from gristmill.model.job import NewJob
from gristmill.queue.sqlite.store import SqliteStore

def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)

async def main(folder):
    store = SqliteStore(f"sqlite:///{folder}/queue.db")
    await store.open()
    await store.close()
    remount(folder, "ro")
    store = SqliteStore(f"sqlite:///{folder}/queue.db")
    try:
        await store.open()
    except StoreReadOnly as error:
        print(error)
    remount(folder, "rw")
    await store.enqueue([(NewJob(id="job_1", queue="numbers"), [])])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_read_only_disk_is_named_as_such_and_used_once_it_is_not(tmp_path):
    if shutil.which("unshare") is None or on_a_disk_of_its_own(tmp_path, "1m", "true").returncode:
        pytest.skip("this machine lets nobody mount a small disk of their own")
    done = on_a_disk_of_its_own(tmp_path, "40m", sys.executable, "-c", ON_A_READ_ONLY_DISK, str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "is read-only: mount it for writing" in done.stdout
