"""Gristmill's single route with a handler that stores nothing."""

from __future__ import annotations

from itertools import count

import msgspec

from gristmill import App, batch


class NewUser(msgspec.Struct):
    name: str
    email: str


class User(msgspec.Struct):
    id: int
    name: str
    email: str


ids = count(1)


@batch(name="users", max_size=500)
async def create_users(users: list[NewUser]) -> list[User]:
    return [User(id=next(ids), name=user.name, email=user.email) for user in users]


app = App(handlers=[create_users])
