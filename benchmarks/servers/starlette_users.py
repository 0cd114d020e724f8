"""Starlette with msgspec: no database, one INSERT per list, and a coalescer written by hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.servers.serve import serve
from benchmarks.servers.statements import INSERT_ALL, connect

SLOTS = 2
MOST = 500


class NewUser(msgspec.Struct):
    name: str
    email: str


class User(msgspec.Struct):
    id: int
    name: str
    email: str


one_user = msgspec.json.Decoder(NewUser)
all_users = msgspec.json.Decoder(list[NewUser])
encode = msgspec.json.Encoder().encode
ids = count(1)


async def insert(users: list[NewUser]) -> list[User]:
    names, emails = [user.name for user in users], [user.email for user in users]
    rows = await app.state.pool.fetch(INSERT_ALL, names, emails)
    return [
        User(id=row["id"], name=user.name, email=user.email) for row, user in zip(rows, users, strict=True)
    ]


class ByHand:
    """What people write by hand: a list of futures and two tasks' worth of room. No errors, no limits."""

    def __init__(self) -> None:
        self.pending: list[tuple[NewUser, asyncio.Future[User]]] = []
        self.running: set[asyncio.Task[None]] = set()

    def add(self, user: NewUser) -> asyncio.Future[User]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[User] = loop.create_future()
        self.pending.append((user, future))
        if len(self.running) < SLOTS:
            self._start()
        return future

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._flush())
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def _flush(self) -> None:
        while self.pending:
            ready, self.pending = self.pending[:MOST], self.pending[MOST:]
            for (_, future), user in zip(ready, await insert([user for user, _ in ready]), strict=True):
                future.set_result(user)


def created(body: object) -> Response:
    return Response(encode(body), 201, media_type="application/json")


async def create_without_database(request: Request) -> Response:
    user = one_user.decode(await request.body())
    return created(User(id=next(ids), name=user.name, email=user.email))


async def create_all_without_database(request: Request) -> Response:
    users = all_users.decode(await request.body())
    return created([User(id=next(ids), name=user.name, email=user.email) for user in users])


async def create_user(request: Request) -> Response:
    return created(await by_hand.add(one_user.decode(await request.body())))


async def create_users(request: Request) -> Response:
    return created(await insert(all_users.decode(await request.body())))


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    if "PGHOST" in os.environ:
        app.state.pool = await connect()
    yield


by_hand = ByHand()
routes = [
    Route("/plain", create_without_database, methods=["POST"]),
    Route("/plain/batch", create_all_without_database, methods=["POST"]),
    Route("/users", create_user, methods=["POST"]),
    Route("/users/batch", create_users, methods=["POST"]),
]
app = Starlette(routes=routes, lifespan=lifespan)

if __name__ == "__main__":
    serve(app)
