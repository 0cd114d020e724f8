"""What users write, as a type checker must see it. Never run; ``make check`` has mypy read it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_type

import msgspec

from gristmill import (
    Adaptive,
    App,
    BatchContext,
    BatchHandler,
    Breaker,
    Failed,
    Inline,
    Linger,
    Ok,
    Outcome,
    Processes,
    QueueOptions,
    Retry,
    Schedule,
    Threads,
    batch,
)
from gristmill.databases import BulkLoader, BulkWriter
from gristmill.queue.job_ref import JobRef
from gristmill.queue.reading import ItemResult


@dataclass
class NewUser:
    name: str


@dataclass
class User:
    id: int
    name: str


@batch
async def plain(items: list[int]) -> list[str]:
    return [str(n) for n in items]


@batch(name="users", max_size=500, max_wait=0.002, concurrency=2, timeout=None)
async def create_users(users: list[NewUser]) -> list[User | Failed]:
    return [User(1, user.name) if user.name else Failed("no name") for user in users]


@batch(max_size=Adaptive(target_latency=0.05), max_wait=Linger(cost=1.0), retry=Retry(attempts=3))
def sync(items: Sequence[str]) -> list[bytes]:
    return [item.encode() for item in items]


@batch(executor=Processes(4), on_error="bisect")
def cpu(items: list[bytes]) -> list[int]:
    return [len(item) for item in items]


@batch(executor=Threads(2), key=lambda item: item[0], dedupe=True, weigh=len, max_weight=1 << 20)
def keyed(items: list[str]) -> list[int]:
    return [len(item) for item in items]


@batch
async def with_context(items: list[int], ctx: BatchContext) -> list[float | Exception]:
    return [n / ctx.attempt for n in items]


@batch(executor=Inline())
async def lookup(ids: list[int]) -> Mapping[int, User | Failed]:
    return {}


class Loader:
    @batch
    async def load(self, ids: list[int]) -> list[User]:
        return [User(n, "x") for n in ids]

    @batch(max_size=10)
    async def load_with_context(self, ids: list[int], ctx: BatchContext) -> list[User | Failed]:
        return [User(n, ctx.name) for n in ids]


async def source() -> AsyncIterator[NewUser]:
    yield NewUser("a")


async def calls() -> None:
    assert_type(plain(1), asyncio.Future[str])
    assert_type(await create_users(NewUser("a")), User)
    assert_type(await sync("x"), bytes)
    assert_type(await cpu(b"x"), int)
    assert_type(await keyed("x"), int)
    assert_type(await with_context(1), float)
    assert_type(await lookup(1), User)

    assert_type(await create_users.many([NewUser("a")]), list[User])
    assert_type(await create_users.many([NewUser("a")], return_exceptions=True), list[User | Exception])
    assert_type(await create_users.outcomes([NewUser("a")]), list[Ok[User] | Failed])
    async for outcome in create_users.stream(source()):
        assert_type(outcome, Outcome[User])
    async for index, outcome in create_users.stream([NewUser("a")], ordered=False):
        assert_type(index, int)
        assert_type(outcome, Outcome[User])

    assert_type(create_users.submit(NewUser("a")), concurrent.futures.Future[User])
    assert_type(create_users.run(NewUser("a")), User)
    ticket = create_users.ticket(NewUser("a"))
    assert_type(await ticket, User)
    async with create_users:
        pass
    await create_users.aclose(timeout=5)

    loader = Loader()
    assert_type(loader.load, BatchHandler[int, User])
    assert_type(await loader.load(1), User)
    assert_type(await loader.load_with_context.many([1]), list[User])


async def durable() -> None:
    ref = await app.enqueue(create_users, [NewUser("a")], priority=2, delay=60, unique="a", unique_for=3600)
    assert_type(ref, JobRef)
    assert_type(ref.id, str)
    job = await ref.wait(timeout=10)
    assert_type(job.counts.succeeded, int)
    async for item in ref.results(ordered=True):
        assert_type(item, ItemResult)
    await app.enqueue("users", source())
    await app.jobs.redrive(handler="users", code="unique_violation")


async def mistakes() -> None:
    await app.enqueue(create_users, ["not a user"])  # type: ignore[misc]
    await app.enqueue(create_users, [NewUser("a")], prioritty=2)  # type: ignore[call-overload]
    create_users("not a user")  # type: ignore[arg-type]
    await create_users.many(["no"])  # type: ignore[list-item]

    @batch(max_sise=10)  # type: ignore[call-overload, untyped-decorator]
    async def misspelt(items: list[int]) -> list[int]:
        return items

    @batch  # type: ignore[arg-type]
    async def no_list(item: int) -> int:
        return item


app = App(
    handlers=[create_users, plain],
    store="postgresql:///app",
    queues={
        "users": QueueOptions(rate=100, concurrency=2, transactional=True, breaker=Breaker(batches=5)),
        "plain": QueueOptions(breaker=None),
    },
    schedules=[Schedule(name="nightly", cron="0 3 * * *", queue="plain", items=[1])],
)


class Stored(msgspec.Struct):
    id: int


async def rows_into_a_table() -> None:
    writer = BulkWriter("sqlite:///x.db", "users")
    assert_type(await writer.insert([{}], returning=Stored), list[Stored | Failed])
    assert_type(await writer.insert([{}], returning="id"), list[Any])
    assert_type(await writer.upsert([{}], returning=("id",)), list[dict[str, Any] | Failed])
    assert_type(await writer.update([{}], key=("id",), returning=Stored, atomic=True), list[Stored | Failed])
    assert_type(await writer.delete([1]), list[Failed | None])
    assert_type(await writer.delete([1], returning=("id",), ctx=None), list[dict[str, Any] | Failed])
    await writer.insert([{}], atomc=True)  # type: ignore[call-overload]
    loader = BulkLoader("sqlite:///x.db", "users", returning=Stored)
    assert_type(await loader.load(1), Stored | None)
    assert_type(await loader.load_many([1]), list[Stored | Failed | None])
