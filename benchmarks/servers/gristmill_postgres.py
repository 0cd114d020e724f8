"""Gristmill in front of one INSERT per batch; the sweep sets its limits through the environment."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import asyncpg
import msgspec

from benchmarks.servers.statements import CONNECTIONS, INSERT_ALL, connect
from gristmill import App, Linger, batch


class NewUser(msgspec.Struct):
    name: str
    email: str


class User(msgspec.Struct):
    id: int
    name: str
    email: str


def limits() -> dict[str, Any]:
    """What GRISTMILL_LIMITS names as JSON: `max_wait` (seconds, or "linger" with its cost) and others."""
    chosen = json.loads(os.environ.get("GRISTMILL_LIMITS", "{}"))
    if "linger" in chosen:
        chosen["max_wait"] = Linger(cost=chosen.pop("linger"))
    return chosen


class Table:
    """The pool, opened with the first batch."""

    def __init__(self) -> None:
        self.opened: asyncio.Task[asyncpg.Pool] | None = None

    async def insert(self, users: list[NewUser]) -> list[User]:
        if self.opened is None:
            size = limits().get("concurrency", CONNECTIONS)
            self.opened = asyncio.get_running_loop().create_task(connect(size))
        pool = await self.opened
        names, emails = [user.name for user in users], [user.email for user in users]
        rows = await pool.fetch(INSERT_ALL, names, emails)
        return [
            User(id=row["id"], name=user.name, email=user.email)
            for row, user in zip(rows, users, strict=True)
        ]


table = Table()


@batch(**{"name": "users", "max_size": 500, **limits()})
async def create_users(users: list[NewUser]) -> list[User]:
    return await table.insert(users)


app = App(handlers=[create_users])
