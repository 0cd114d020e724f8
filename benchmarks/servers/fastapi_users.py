"""FastAPI with pydantic models, as its tutorial writes it: one INSERT per POST, or one per list."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.servers.serve import serve
from benchmarks.servers.statements import INSERT_ALL, INSERT_ONE, connect


class NewUser(BaseModel):
    name: str
    email: str


class User(BaseModel):
    id: int
    name: str
    email: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if "PGHOST" in os.environ:
        app.state.pool = await connect()
    yield


app = FastAPI(lifespan=lifespan)
ids = count(1)


@app.post("/plain", status_code=201)
async def create_without_database(user: NewUser) -> User:
    return User(id=next(ids), name=user.name, email=user.email)


@app.post("/plain/batch", status_code=201)
async def create_all_without_database(users: list[NewUser]) -> list[User]:
    return [User(id=next(ids), name=user.name, email=user.email) for user in users]


@app.post("/users", status_code=201)
async def create_user(user: NewUser) -> User:
    user_id = await app.state.pool.fetchval(INSERT_ONE, user.name, user.email)
    return User(id=user_id, name=user.name, email=user.email)


@app.post("/users/batch", status_code=201)
async def create_users(users: list[NewUser]) -> list[User]:
    names, emails = [user.name for user in users], [user.email for user in users]
    rows = await app.state.pool.fetch(INSERT_ALL, names, emails)
    return [
        User(id=row["id"], name=user.name, email=user.email) for row, user in zip(rows, users, strict=True)
    ]


if __name__ == "__main__":
    serve(app)
