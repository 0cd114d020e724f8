"""Users in any SQL database: the handler is one line, and a user that cannot be stored fails alone.

Start it with ``gristmill serve examples/users_table.py:app``; ``USERS_DATABASE`` is a URL such as
``postgresql://localhost/shop`` or ``sqlite:///users.db``. The table::

    CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                        name text NOT NULL, email text NOT NULL UNIQUE)
"""

from __future__ import annotations

import os

import msgspec

from gristmill import App, BatchContext, Failed, batch
from gristmill.databases import BulkLoader, BulkWriter, Pool


class NewUser(msgspec.Struct):
    """What callers send."""

    name: str
    email: str


class User(msgspec.Struct):
    """What is stored."""

    id: int
    name: str
    email: str


pool = Pool(os.environ.get("USERS_DATABASE", "sqlite:///users_table.db"))
writer = BulkWriter(pool, "users")
loader = BulkLoader(pool, "users", returning=User, missing="error")


@batch(name="users", max_size=500)
async def create_users(users: list[NewUser], ctx: BatchContext) -> list[User | Failed]:
    """Create users; an email belongs to one user only."""
    return await writer.insert(users, returning=User, ctx=ctx)


@batch(name="lookup", max_size=500)
async def find_users(ids: list[int]) -> list[User | Failed | None]:
    """Find users by their ids."""
    return await loader.load_many(ids)


app = App(handlers=[create_users, find_users])
