"""Users in SQLite: callers send one user or many, and all who call at the same moment share one transaction.

Start it with ``make run``, or ``gristmill serve examples/users.py:app``, then::

    curl http://127.0.0.1:8000/v1/users -H 'content-type: application/json' \
        -d '{"name": "Ada Lovelace", "email": "ada@example.org"}'
    curl http://127.0.0.1:8000/v1/lookup -H 'content-type: application/json' -d 1

The file is ``users.db`` beside this one, unless USERS_DB names another.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Annotated

import apsw
import msgspec
from msgspec import Meta

from gristmill import App, Failed, batch
from gristmill.databases.sqlite import SqliteWriter

DATABASE = os.environ.get("USERS_DB") or str(Path(__file__).with_name("users.db"))
SCHEMA = """
CREATE TABLE IF NOT EXISTS users(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL COLLATE NOCASE UNIQUE
)
"""

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
UserId = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class NewUser(msgspec.Struct):
    """What callers send."""

    name: Name
    email: Email


class User(msgspec.Struct):
    """What is stored."""

    id: UserId
    name: Name
    email: Email


writer = SqliteWriter(DATABASE, "users", returning=User, create=SCHEMA)
email_is_taken = Failed("email is taken", "unique_violation")


@batch(name="users", max_size=500)
async def create_users(users: list[NewUser]) -> list[User | Failed]:
    """Create a user; an email belongs to one user only."""
    stored = await writer.insert(users)  # one transaction; a user that cannot be stored fails alone
    return [
        email_is_taken if isinstance(one, Failed) and one.code == "unique_violation" else one
        for one in stored
    ]


@batch(name="lookup", max_size=500)
def find_users(ids: list[UserId]) -> dict[UserId, User]:
    """Find a user by id; an id that the answer leaves out is not found."""
    with closing(apsw.Connection(DATABASE)) as database:
        database.set_busy_timeout(5000)
        database.execute(SCHEMA)
        wanted = msgspec.json.encode(ids).decode()
        rows = database.execute(
            "SELECT id, name, email FROM users WHERE id IN (SELECT value FROM json_each(?))", (wanted,)
        )
        return {key: User(key, name, email) for key, name, email in rows}


app = App(handlers=[create_users, find_users])
