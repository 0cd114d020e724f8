"""What users of the client write, as a type checker must see it. Never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, assert_type

from gristmill import BatchClient, Client, Outcome, SyncBatchClient, SyncClient
from gristmill.client.jobs.remote_job import JobResult, RemoteJob
from gristmill.wire import JobReply


@dataclass
class NewUser:
    name: str


@dataclass
class User:
    id: int


async def typed(client: Client) -> None:
    users = client.handler("users", item=NewUser, result=User, max_size=10)
    assert_type(await users(NewUser("a")), User)
    assert_type(await users.many([NewUser("a")]), list[User])
    assert_type(await users.many([NewUser("a")], return_exceptions=bool("x")), list[User | Exception])
    assert_type(await users.outcomes([NewUser("a")]), list[Outcome[User]])
    assert_type(users.map([NewUser("a")]), AsyncIterator[Outcome[User]])
    assert_type(users.map([NewUser("a")], ordered=False, rate=5), AsyncIterator[tuple[int, Outcome[User]]])
    job = await users.enqueue([NewUser("a")], priority=1)
    assert_type(job, RemoteJob[User])
    assert_type(await job.wait(), JobReply)
    async for result in job.results():
        assert_type(result, JobResult[User])


async def untyped(client: Client) -> None:
    users = client.handler("users")
    assert_type(await users({"name": "a"}), Any)
    assert_type(await client.handler("users", result=User)({"name": "a"}), User)


def synchronous(client: SyncClient) -> None:
    users = client.handler("users", item=NewUser, result=User)
    assert_type(users(NewUser("a")), User)
    assert_type(users.map([NewUser("a")]), Iterator[Outcome[User]])


async def endpoint() -> None:
    double: BatchClient[int, int] = BatchClient("http://h/double")
    assert_type(await double(1), int)


def synchronous_endpoint() -> None:
    double: SyncBatchClient[int, int] = SyncBatchClient("http://h/double")
    assert_type(double(1), int)
    assert_type(double.map([1]), Iterator[Outcome[int]])
