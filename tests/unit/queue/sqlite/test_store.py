from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path

import apsw
import pytest

from gristmill.errors import ConfigurationError, StoreFull, StoreUnavailable
from gristmill.model.lease import Claim, Idle, Settled, Settlement
from gristmill.model.queue import QueueLimits
from gristmill.queue.sqlite import room
from gristmill.queue.sqlite.store import SqliteStore

ENQUEUE = """
import asyncio, sys
from gristmill.model.chunk import NewChunk
from gristmill.model.job import NewJob
from gristmill.queue.sqlite.store import SqliteStore

async def main(url):
    store = SqliteStore(url)
    await store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    job = NewJob(id="job_00000000000000000000000777", queue="numbers")
    await store.enqueue([(job, [NewChunk(job=job.id, places=((0, 1),), items=1, body=b"[1]")])])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_was_stored_is_there_after_reopening(store, new, path, claim):
    await store.enqueue([new(3)])
    taken = await claim()
    await store.close()
    reopened = SqliteStore(f"sqlite:///{path}")
    await reopened.open()
    await reopened.open()
    assert await reopened.renew([taken.lease], 60) == set()
    assert await reopened.settle(Settlement(lease=taken.lease)) is Settled.SETTLED
    await reopened.close()


async def test_a_caller_reads_what_it_wrote(store, new):
    for _ in range(100):
        job, chunks = new(1)
        await store.enqueue([(job, chunks)])
        assert await store.job(job.id) is not None


async def test_reads_do_not_wait_for_writers(store, new, path):
    await store.enqueue([new(1)])
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    writing = asyncio.create_task(store.enqueue([new(1)]))
    assert len((await store.jobs()).jobs) == 1
    assert (await store.queues())[0].ready == 1
    assert not writing.done()
    foreign.execute("ROLLBACK")
    foreign.close()
    await writing


async def test_ids_never_repeat(store, new, claim):
    leases, chunks = [], []
    for _ in range(3):
        await store.enqueue([new(1)])
        taken = await claim()
        leases.append(taken.lease)
        chunks += [chunk.id for chunk in taken.chunks]
        await store.settle(Settlement(lease=taken.lease))
        await store.enqueue([new(1)])
        released = await claim()
        leases.append(released.lease)
        await store.release(released.lease)
        chunks += [chunk.id for chunk in (await claim()).chunks]
    assert leases == sorted(set(leases))
    assert chunks == sorted(set(chunks))


async def test_a_closed_store_says_so(store):
    await store.close()
    await store.close()
    for call in (
        store.open(),
        store.job("job_1"),
        store.prune("numbers", older_than=1),
        store.wait(["numbers"], 1),
    ):
        with pytest.raises(StoreUnavailable, match="is closed"):
            await call


async def test_a_store_that_was_never_opened_closes(path):
    await SqliteStore(f"sqlite:///{path}").close()
    assert not path.exists()


async def test_a_closed_store_leaves_one_file(store, new, path):
    await store.enqueue([new(1)])
    await store.close()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_a_claim_that_reaches_nobody_is_given_back(store, new, claim):
    await store.enqueue([new(5)])
    for turns in range(8):
        task = asyncio.create_task(claim())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    while isinstance(found := await claim(), Idle):
        pass
    assert found.items == 5
    assert await store.renew([found.lease], 60) == set()


async def test_a_wait_ends_when_another_process_enqueues(store, path, python, claim):
    process = python(ENQUEUE, f"sqlite:///{path}")
    assert process.stdout.readline() == "ready\n"
    waiting = asyncio.create_task(store.wait(["letters", "numbers"], 50))
    await asyncio.sleep(0)
    process.stdin.write("go\n")
    process.stdin.flush()
    await waiting
    assert isinstance(await claim(), Claim)
    assert process.communicate()[1] == ""


async def test_a_wait_ends_when_a_delay_is_over(store, new, claim):
    await store.enqueue([new(1, delay=0.05)])
    await store.wait(["numbers"], 50)
    assert isinstance(await claim(), Claim)


@pytest.mark.parametrize("what", ["resume", "limit", "release", "settle", "commit", "redrive"])
async def test_a_wait_ends_when_work_comes_free(store, new, claim, what):
    job, chunks = new(2, chunk=1, key="a")
    if what == "commit":
        await store.begin(job)
        await store.add(job.id, chunks)
    else:
        await store.enqueue([(job, chunks)])
        taken = await claim()
    if what == "resume":
        await store.pause("numbers")
        await store.settle(Settlement(lease=taken.lease))
    elif what == "limit":
        await store.enqueue([new(1)])
        await store.limit("numbers", QueueLimits(concurrency=1))
    waiting = asyncio.create_task(store.wait(["numbers"], 50))
    for _ in range(10):
        await store.now()
    assert not waiting.done()
    if what == "resume":
        await store.resume("numbers")
    elif what == "limit":
        await store.limit("numbers", QueueLimits())
    elif what == "release":
        await store.release(taken.lease)
    elif what == "settle":
        await store.settle(Settlement(lease=taken.lease))
    elif what == "commit":
        await store.commit(job.id)
    else:
        await store.settle(Settlement(lease=taken.lease))
    await waiting
    assert isinstance(await claim(), Claim)


async def test_a_wait_does_not_end_for_what_others_do_elsewhere(store, new):
    waiting = asyncio.create_task(store.wait(["numbers"], 50))
    for _ in range(20):
        await store.enqueue([new(1, queue="letters")])
        await store.queues()
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_work_that_is_due_ends_a_wait_at_once(store, new):
    await store.enqueue([new(1)])
    await store.wait(["numbers"], 50)


async def test_a_twin_serves_another_threads_loop(store, new, claim):
    await store.enqueue([new(1)])
    taken = await claim()

    async def renew():
        return await store.twin().renew([taken.lease, taken.lease + 1], 60)

    assert await asyncio.to_thread(asyncio.run, renew()) == {taken.lease + 1}


def in_a_child(store, found):
    async def use():
        try:
            await store.job("job_1")
        except ConfigurationError as error:
            return str(error)
        finally:
            await store.close()

    found.send(asyncio.run(use()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_child_of_this_process_is_told_to_make_its_own(store):
    context = multiprocessing.get_context("fork")
    ours, its = context.Pipe()
    child = context.Process(target=in_a_child, args=(store, its))
    child.start()
    text = await asyncio.to_thread(ours.recv)
    await asyncio.to_thread(child.join)
    assert "was used before this process was forked: make one after it" in text
    await store.now()
    assert (await store.jobs()).jobs == ()


async def test_the_last_of_the_disk_is_kept_for_settling(store, new, claim, monkeypatch):
    await store.enqueue([new(5)])
    await store.begin(new(0)[0])
    monkeypatch.setattr(room, "RESERVED", 1 << 60)
    job, chunks = new(1)
    for call in (
        store.enqueue([(job, chunks)]),
        store.begin(job),
        store.add("job_00000000000000000000000002", chunks),
    ):
        with pytest.raises(StoreFull, match="what is left is kept"):
            await call
    taken = await claim()
    assert await store.settle(Settlement(lease=taken.lease)) is Settled.SETTLED
    monkeypatch.undo()
    await store.enqueue([(job, chunks)])


async def test_the_file_becomes_smaller_again(store, path):
    from gristmill.model.chunk import NewChunk  # noqa: PLC0415 - only here
    from gristmill.model.job import NewJob  # noqa: PLC0415 - only here

    job = NewJob(id="job_1", queue="numbers")
    body = b"[" + b"1" * (1 << 20) + b"]"
    chunks = [NewChunk(job=job.id, places=((place, 1),), items=1, body=body) for place in range(48)]
    await store.enqueue([(job, chunks)])
    await store.cancel(job.id)
    for _ in range(4):
        await store.prune("numbers", older_than=3600)
    await store.close()
    assert path.stat().st_size < 24 << 20


async def test_two_stores_on_one_file_share_the_work(store, new, path, claim):
    other = SqliteStore(f"sqlite:///{path}")
    await other.open()
    await asyncio.gather(*(each.enqueue([new(1)]) for each in (store, other) for _ in range(50)))

    async def drain(each):
        seen = 0
        while isinstance(
            taken := await each.claim("numbers", worker="w", max_items=3, max_bytes=1 << 20, seconds=60),
            Claim,
        ):
            seen += taken.items
            assert await each.settle(Settlement(lease=taken.lease)) is Settled.SETTLED
        return seen

    assert sum(await asyncio.gather(drain(store), drain(other), drain(store))) == 100
    await other.close()


def test_the_url_needs_no_folder_before_it_is_opened(tmp_path):
    SqliteStore(f"sqlite:///{tmp_path}/none/queue.db")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - of names
    assert not Path(tmp_path / "none").exists()
