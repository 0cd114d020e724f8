"""Servers that stop, come back, are full, are replicas, or are not what they should be."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any

import pytest

from gristmill.errors import (
    NotSupported,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreReadOnly,
    StoreUnavailable,
    StoreVersion,
)
from gristmill.model.lease import Claim, Settled
from gristmill.queue.redis.store import SCHEMA, RedisStore


async def test_what_was_acknowledged_outlives_a_killed_server(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.open()
    assert store.durability == "append-only file, fsync on every write"
    jobs = [lab.new(10, chunk=5) for _ in range(20)]
    await asyncio.gather(*(store.enqueue([job]) for job in jobs))
    settled, running = [await lab.claim(store, items=10) for _ in range(2)]
    await lab.succeed(store, settled)
    place = server.port, server.data_dir
    server.terminate()
    with pytest.raises(StoreUnavailable):
        await store.now()

    lab.serve(like=place)
    assert await lab.succeed(store, settled) is Settled.DUPLICATE
    assert await lab.succeed(store, running) is Settled.SETTLED
    while isinstance(found := await lab.claim(store), Claim):
        await lab.succeed(store, found)
    counts = [(await store.job(job.id)).counts for job, _ in jobs]
    assert [each.succeeded for each in counts] == [10] * 20
    assert len(await store.results(jobs[0][0].id)) == 2


async def test_a_store_works_again_on_every_connection_once_its_server_is_back(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.open()
    await asyncio.gather(*(store.job("x") for _ in range(20)))
    place = server.port, server.data_dir
    server.stop()
    calls = [store.job("x"), store.enqueue([lab.new()]), store.queues(), store.wait(["numbers"], 5)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable] * 4
    assert all(each.__cause__ is not None for each in found if isinstance(each, BaseException))
    lab.serve(like=place)
    assert await asyncio.gather(*(store.job("x") for _ in range(20))) == [None] * 20
    assert (await store.enqueue([lab.new()]))[0].created


async def test_a_server_that_does_not_answer_is_given_up(lab: Any) -> None:
    async def keep_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(keep_silent, "127.0.0.1", 0)
    store = RedisStore(f"redis://127.0.0.1:{silent.sockets[0].getsockname()[1]}?timeout=0.1")
    for call in (store.open(), store.enqueue([lab.new()]), store.now()):
        with pytest.raises(StoreUnavailable):
            await call
    await store.close()
    for writer in writers:
        writer.close()
    silent.close()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "set maxmemory-policy to noeviction"),
        ({"maxmemory-policy": "volatile-lru"}, "set maxmemory-policy to noeviction"),
        ({"appendonly": "no"}, "set appendonly to yes"),
    ],
)
async def test_a_server_that_loses_jobs_is_refused_unless_that_is_wanted(
    lab: Any, settings: dict[str, str], text: str
) -> None:
    server = lab.serve(**settings)
    with pytest.raises(StoreMisconfigured, match=text):
        await lab.reach(server).open()
    store = lab.reach(server, "?unsafe=true")
    await store.open()
    assert text in store.durability
    assert (await store.enqueue([lab.new()]))[0].created


async def test_full_memory_refuses_new_jobs_and_lets_workers_end_theirs(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.open()
    await store.enqueue([lab.new(60, chunk=20, size=20_000)])
    running, released = [await lab.claim(store, items=20) for _ in range(2)]
    await lab.ask(server, "CONFIG", "SET", "maxmemory", (await lab.ask(server, "INFO"))["used_memory"] - 1)

    job = lab.new(1, size=20_000)
    with pytest.raises(StoreFull, match="no memory left"):
        await store.enqueue([job])
    assert await store.job(job[0].id) is None
    assert await store.release(released.lease)
    assert await store.renew([running.lease], 60) == set()
    assert await lab.succeed(store, running) is Settled.SETTLED
    rest = await lab.claim(store)
    assert rest.items == 40
    await store.pause("numbers")
    assert await lab.succeed(store, rest) is Settled.SETTLED
    assert await store.prune("numbers", older_than=-1) == 1

    async def is_stored() -> bool:  # the server frees in its own time
        try:
            return bool((await store.enqueue([job]))[0].created)
        except StoreFull:
            return False

    await lab.until(is_stored)


async def test_a_replica_takes_no_writes(lab: Any) -> None:
    first, second = lab.serve(**{"repl-diskless-sync-delay": "0"}), lab.serve()
    await lab.ask(second, "REPLICAOF", "127.0.0.1", first.port)
    store = lab.reach(second)
    await lab.until(lambda: _is_linked(lab, second))
    with pytest.raises(StoreReadOnly):
        await store.open()
    with pytest.raises(StoreReadOnly):
        await store.enqueue([lab.new()])
    assert await store.job("x") is None
    await lab.ask(second, "REPLICAOF", "NO", "ONE")
    assert (await store.enqueue([lab.new()]))[0].created


async def _is_linked(lab: Any, server: Any) -> bool:
    return bool((await lab.ask(server, "INFO", "replication"))["master_link_status"] == "up")


async def test_the_schema_of_a_newer_gristmill_is_left_alone(lab: Any) -> None:
    server = lab.serve()
    await lab.ask(server, "SET", "{gm}:schema", SCHEMA + 1)
    with pytest.raises(StoreVersion, match=f"has schema {SCHEMA + 1}"):
        await lab.reach(server).open()
    assert await lab.ask(server, "GET", "{gm}:schema") == str(SCHEMA + 1).encode()
    other = lab.reach(server, "?prefix=other")
    await other.open()


async def test_jobs_that_an_older_gristmill_left_in_one_index_are_pruned_by_their_queues(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    jobs = [lab.new(0, queue=queue) for queue in ("numbers", "letters", "numbers")]
    await store.enqueue(jobs)
    for (job, _), number in zip(jobs, (1, 2, 3), strict=True):
        await lab.ask(server, "ZREM", f"{{gm}}:finished:{job.queue}", job.id)
        await lab.ask(server, "ZADD", "{gm}:finished", number, job.id)
    await lab.ask(server, "ZADD", "{gm}:finished", 4, "job_that_is_gone")
    assert await store.prune("numbers", older_than=-1) == 2
    assert await store.job(jobs[1][0].id) is not None
    assert await store.prune("letters", older_than=-1) == 1
    assert await lab.ask(server, "EXISTS", "{gm}:finished") == 0


OPENING = """
import asyncio, sys
from gristmill.queue.redis.store import RedisStore

async def main():
    store = RedisStore(sys.argv[1])
    await store.open()
    await store.open()
    await store.close()
    await store.close()

asyncio.run(main())
"""


async def test_several_processes_open_a_store_at_once(lab: Any) -> None:
    server = lab.serve()
    command = (sys.executable, "-W", "error", "-c", OPENING, f"redis://127.0.0.1:{server.port}")
    processes = [await asyncio.create_subprocess_exec(*command) for _ in range(4)]
    assert [await process.wait() for process in processes] == [0] * 4
    assert await lab.ask(server, "GET", "{gm}:schema") == str(SCHEMA).encode()


async def test_stores_of_different_prefixes_know_nothing_of_each_other(lab: Any) -> None:
    server = lab.serve()
    mine, theirs = lab.reach(server), lab.reach(server, "?prefix=other")
    job = lab.new()
    await mine.enqueue([job])
    assert await theirs.job(job[0].id) is None
    assert await theirs.queues() == []
    assert (await theirs.enqueue([job]))[0].created


async def test_names_with_separators_in_them_are_not_mixed_up(lab: Any) -> None:
    from gristmill.model.job import Unique  # noqa: PLC0415 - only here

    store = lab.reach(lab.serve())
    pairs = (("a:b", "c"), ("a", "b:c"), ("a:b:c", ""), ("1:a", "\u00e4{}:1"))
    for queue, key in pairs:
        job = lab.new(1, queue=queue, key=key, unique=Unique(key=key, seconds=60))
        assert (await store.enqueue([job]))[0].created
    assert [status.ready for status in await store.queues()] == [1, 1, 1, 1]


async def test_a_wrong_password_is_told_without_it(lab: Any) -> None:
    server = lab.serve()
    await lab.ask(server, "CONFIG", "SET", "requirepass", "right")
    with pytest.raises(StoreMisconfigured, match="refused the login") as caught:
        await lab.reach(server, login=":wrong@").open()
    assert "wrong@" not in str(caught.value)
    await lab.reach(server, login=":right@").open()


async def test_a_server_that_tells_nothing_is_taken_with_a_warning(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = lab.serve()
    await lab.ask(
        server, "ACL", "SETUSER", "app", "on", ">pw", "~{gm}:*", "+@all", "-config", "-info", "-acl", "-keys"
    )
    store = lab.reach(server, login="app:pw@")
    with caplog.at_level(logging.WARNING):
        await store.open()
    assert [record.message.partition("does not tell ")[2] for record in caplog.records] == [
        "whether maxmemory-policy is noeviction: see to it",
        "whether appendonly is yes: see to it",
    ]
    assert store.durability == "append-only file"
    assert (await store.enqueue([lab.new()]))[0].created


async def test_a_user_who_may_not_do_what_is_needed_is_told(lab: Any) -> None:
    server = lab.serve()
    await lab.ask(server, "ACL", "SETUSER", "app", "on", ">pw", "~other:*", "+@all")
    with pytest.raises(StoreMisconfigured, match="may not do all that is needed"):
        await lab.reach(server, login="app:pw@").open()


async def test_an_enqueue_can_wait_for_the_file(lab: Any) -> None:
    server = lab.serve(appendfsync="everysec")
    store = lab.reach(server, "?wait=aof")
    await store.open()
    assert store.durability == "append-only file, fsync before an enqueue is acknowledged"
    found = await asyncio.gather(*(store.enqueue([lab.new()]) for _ in range(50)))
    assert all(each.created for (each,) in found)
    assert (await lab.ask(server, "INFO", "persistence"))["aof_pending_bio_fsync"] == 0
    job, chunks = lab.new(3)
    await store.begin(job)
    await store.add(job.id, chunks)
    await store.commit(job.id)


async def test_waiting_for_a_file_that_is_not_written_is_refused(lab: Any) -> None:
    store = lab.reach(lab.serve(appendonly="no"), "?wait=aof&unsafe=true")
    with pytest.raises(StoreError, match="WAITAOF"):
        await store.enqueue([lab.new()])


async def test_transactions_are_refused_with_what_to_use(lab: Any) -> None:
    store = lab.reach(lab.serve())
    await store.enqueue([lab.new()])
    found = await lab.claim(store)
    with pytest.raises(NotSupported, match="postgresql://"):
        async with store.transaction(found):
            pass
    with pytest.raises(NotSupported, match="after your commit"):
        await store.enqueue([lab.new()], connection=object())


async def test_a_store_is_used_by_one_loop_after_another_and_by_a_twin(lab: Any) -> None:
    store = lab.reach(lab.serve())
    await store.enqueue([lab.new()])

    async def elsewhere(other: RedisStore) -> int:
        try:
            return (await other.queues())[0].ready
        finally:
            await other.close()

    for other in (store, store.twin()):
        assert await asyncio.to_thread(asyncio.run, elsewhere(other)) == 1
    assert (await store.queues())[0].ready == 1


async def test_a_stopped_server_process_is_waited_for_no_longer_than_the_timeout(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server, "?timeout=0.2")
    await store.open()
    process = (await lab.ask(server, "INFO"))["process_id"]
    os.kill(process, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailable):
            await store.enqueue([lab.new()])
    finally:
        os.kill(process, signal.SIGCONT)
    assert (await store.enqueue([lab.new()]))[0].created


async def test_a_database_that_the_server_does_not_have_is_told_with_what_to_do(
    lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = lab.serve()
    store = RedisStore(f"redis://127.0.0.1:{server.port}/99")
    with pytest.raises(StoreMisconfigured, match=r"no database of the number .*: end the URL with /0"):
        await store.open()
    await store.close()
    assert caplog.messages == []


async def test_a_server_whose_memory_is_nearly_full_says_so_before_it_refuses_jobs(lab: Any) -> None:
    server = lab.serve()
    store = lab.reach(server)
    await store.open()
    assert await store.hindrances() == []
    await lab.ask(server, "CONFIG", "SET", "maxmemory", "200mb")
    assert await store.hindrances() == []
    used = int((await lab.ask(server, "INFO", "memory"))["used_memory"])
    await lab.ask(server, "CONFIG", "SET", "maxmemory", str(int(used * 1.05)))
    (found,) = await store.hindrances()
    assert (found.who, f"redis://127.0.0.1:{server.port}/0 has used" in found.text) == ("memory", True)
    await lab.ask(server, "ACL", "SETUSER", "default", "-info")
    assert await store.hindrances() == []
