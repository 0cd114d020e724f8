"""One durable queue under test in a process of its own.

`python -m benchmarks.queue_peers PEER COUNT URL` adds COUNT jobs in bulk, then drains them with one worker,
and prints one JSON object: `add` and `drain` in seconds. Each peer at its best settings of a short search.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psutil
import uvloop

Found = dict[str, float]


class User(msgspec.Struct):
    id: int
    name: str
    email: str


def users(count: int) -> list[User]:
    name = "User {} of the benchmark with a name of some length"
    return [User(n, name.format(n), f"user{n}@example.com") for n in range(count)]


@contextmanager
def timed(found: Found, part: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    found[part] = time.perf_counter() - began


async def gristmill(count: int, url: str) -> Found:
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    @batch(name="users", max_size=500)
    async def create_users(batch_of: list[User]) -> list[int]:
        return [user.id for user in batch_of]

    jobs = Jobs([create_users], url)
    await jobs.open()
    items = users(count)
    found: Found = {}
    with timed(found, "add"):
        ref = await jobs.enqueue(create_users, items)
    with timed(found, "drain"):
        await jobs.start()
        done = await ref.wait()
    assert done.counts.succeeded == count, done
    await jobs.stop()
    return found


async def gristmill_singles(count: int, url: str) -> Found:
    """Concurrent single calls of `enqueue`, 200 at a time."""
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    @batch(name="users", max_size=500)
    async def create_users(batch_of: list[User]) -> list[int]:
        return [user.id for user in batch_of]

    jobs = Jobs([create_users], url)
    await jobs.open()
    waiting = iter(users(count))

    async def caller() -> None:
        for user in waiting:
            await jobs.enqueue(create_users, [user])

    found: Found = {}
    with timed(found, "add"):
        await asyncio.gather(*(caller() for _ in range(200)))
    await jobs.stop()
    return found


async def latency(count: int, url: str) -> Found:
    """From `enqueue` to the start of the handler, in another process, on an idle system: median and p99."""
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    @batch(name="users", max_size=500)
    async def create_users(batch_of: list[User]) -> list[int]:
        raise AssertionError(f"the other process runs {len(batch_of)} items")

    command = [sys.executable, "-m", "benchmarks.queue_peers", "gristmill worker", "0", url]
    worker = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert worker.stdout is not None
    jobs = Jobs([create_users], url)
    await jobs.open()
    waits = []
    await worker.stdout.readline()  # ready
    for user in users(count):
        await asyncio.sleep(0.05)
        began = time.time()
        await jobs.enqueue(create_users, [user])
        waits.append(float(await worker.stdout.readline()) - began)
    worker.terminate()
    await worker.wait()
    await jobs.stop()
    waits.sort()
    return {"p50": waits[count // 2] * 1e3, "p99": waits[int(count * 0.99)] * 1e3}


async def worker(_count: int, url: str) -> Found:
    """Says when each handler call begins, until it is ended."""
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    @batch(name="users", max_size=500)
    async def create_users(batch_of: list[User]) -> list[int]:
        print(time.time(), flush=True)
        return [user.id for user in batch_of]

    await Jobs([create_users], url).start()
    print("ready", flush=True)
    await asyncio.Event().wait()
    return {}


async def memory(count: int, url: str) -> Found:
    """Resident megabytes of a worker after a tenth of the items, and at their end."""
    from gristmill import batch  # noqa: PLC0415 - each subject loads only its own library
    from gristmill.queue.service import Jobs  # noqa: PLC0415 - as above

    process = psutil.Process()
    seen = 0
    found: Found = {}

    @batch(name="users", max_size=500)
    async def create_users(batch_of: list[User]) -> list[int]:
        nonlocal seen
        seen += len(batch_of)
        if seen >= count / 10:
            found.setdefault("early", process.memory_info().rss / 1e6)
        return [user.id for user in batch_of]

    jobs = Jobs([create_users], url)
    name = "User {} of the benchmark with a name of some length"
    items = (User(n, name.format(n), f"user{n}@example.com") for n in range(count))
    ref = await jobs.enqueue(create_users, items)
    await jobs.start()
    await ref.wait()
    found["late"] = process.memory_info().rss / 1e6
    await jobs.stop()
    return found


async def one_transaction_each(count: int, url: str) -> Found:
    """What SQLite does with one durable transaction per item: the floor of single calls."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, body BLOB)")
    bodies = [msgspec.json.encode(user) for user in users(count)]
    found: Found = {}
    with timed(found, "add"):
        for body in bodies:
            connection.execute("INSERT INTO job (body) VALUES (?)", (body,))
    connection.close()
    return found


async def pgqueuer(count: int, url: str) -> Found:
    import asyncpg  # noqa: PLC0415 - each subject loads only its own library
    from pgqueuer import PgQueuer, Queries  # noqa: PLC0415 - as above
    from pgqueuer.db import AsyncpgPoolDriver  # noqa: PLC0415 - as above

    pool = await asyncpg.create_pool(url, min_size=4, max_size=8)
    driver = AsyncpgPoolDriver(pool)
    queries = Queries(driver)
    await queries.install()
    bodies = [msgspec.json.encode(user) for user in users(count)]
    found: Found = {}
    with timed(found, "add"):
        for start in range(0, count, 1000):
            some = bodies[start : start + 1000]
            await queries.enqueue(["user"] * len(some), some, [0] * len(some))
    worker = PgQueuer(driver)
    left = count
    ended = asyncio.Event()

    @worker.entrypoint("user")
    async def handle(_job: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            ended.set()

    with timed(found, "drain"):
        running = asyncio.create_task(worker.run(batch_size=500))
        await ended.wait()
        worker.shutdown.set()
        await running
    await pool.close()
    return found


async def litequeue(count: int, url: str) -> Found:
    from litequeue import LiteQueue  # noqa: PLC0415 - each subject loads only its own library

    queue = LiteQueue(url.removeprefix("sqlite:///"))
    queue.conn.execute("PRAGMA synchronous=FULL")  # the same promise for everybody
    bodies = [msgspec.json.encode(user).decode() for user in users(count)]
    found: Found = {}
    with timed(found, "add"):
        queue.conn.execute("BEGIN")
        for body in bodies:
            queue.put(body)
        queue.conn.execute("COMMIT")
    with timed(found, "drain"):
        left = count
        while left and (message := queue.pop() if hasattr(queue, "pop") else queue.get()):
            queue.done(message.message_id)
            left -= 1
    return found


async def huey(count: int, url: str) -> Found:
    from huey import SqliteHuey  # noqa: PLC0415 - each subject loads only its own library

    queue = SqliteHuey(filename=url.removeprefix("sqlite:///"), fsync=True, results=False)

    @queue.task()
    def handle(_user: dict[str, Any]) -> None:
        return None

    plain = [msgspec.to_builtins(user) for user in users(count)]
    found: Found = {}
    with timed(found, "add"):
        for user in plain:
            handle(user)
    with timed(found, "drain"):
        for _ in range(count):
            queue.execute(queue.dequeue())
    return found


PEERS: dict[str, Callable[[int, str], Awaitable[Found]]] = {
    "gristmill": gristmill,
    "gristmill singles": gristmill_singles,
    "gristmill latency": latency,
    "gristmill worker": worker,
    "gristmill memory": memory,
    "one transaction each": one_transaction_each,
    "PgQueuer": pgqueuer,
    "litequeue": litequeue,
    "Huey": huey,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("count", type=int)
    parser.add_argument("url")
    chosen = parser.parse_args()
    found = uvloop.run(PEERS[chosen.peer](chosen.count, chosen.url))
    print(json.dumps({"count": chosen.count, **found}))


if __name__ == "__main__":
    main()
