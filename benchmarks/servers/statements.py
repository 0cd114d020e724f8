"""The statements that the Python servers share, and the pool that they send them over."""

from __future__ import annotations

import os

import asyncpg

INSERT_ONE = "INSERT INTO users (name, email) VALUES ($1, $2) RETURNING id"
INSERT_ALL = "INSERT INTO users (name, email) SELECT * FROM unnest($1::text[], $2::text[]) RETURNING id"

CONNECTIONS = 10  # the default of asyncpg and of Node's pg alike


async def connect(size: int = CONNECTIONS) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        host=os.environ["PGHOST"], user=os.environ["PGUSER"], min_size=size, max_size=size
    )
