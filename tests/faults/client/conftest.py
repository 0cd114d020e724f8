"""A server that misbehaves on the wire, and a proxy that cuts connections to one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from tests.integration.conftest import Server, running

from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport

LONG = 30.0
_UNKNOWN = b'{"type": "/problems/idempotency-unknown", "code": "idempotency_unknown", "title": ""}'


class FaultServer:
    """Does what its plan says to each batch; handlers are there on every path, and described on none.

    Attributes:
        done: item -> how often it was carried out.
        sent: item -> how often it came.
        requests: Batches that came.
        is_marked: Whether it says that it keeps answers, and has forgotten all of them at each repeat.
    """

    def __init__(self, plan: Callable[[], str]) -> None:
        self.plan = plan
        self.done: Counter[Any] = Counter()
        self.sent: Counter[Any] = Counter()
        self.requests = 0
        self.is_marked = False
        self.port = 0
        self._answers: dict[str, bytes] = {}  # by idempotency key
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        if head[0].startswith("GET"):
            described = b'{"name": "users", "limits": {"held_seconds": 300.0}}'
            return await self._answer(writer, 200 if self.is_marked else 404, described)
        fault = self.plan()
        self.requests += 1
        if fault == "reset":
            writer.transport.abort()
            return False
        items = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.sent.update(items)
        if self.is_marked and "idempotency-repeat" in headers:
            return await self._answer(writer, 409, _UNKNOWN)
        return await getattr(self, f"_{fault}")(writer, items, headers.get("idempotency-key", ""))

    def _carried_out(self, items: list[Any], key: str) -> bytes:
        """Carry *items* out, unless that was done under *key*, and return the answer."""
        if key in self._answers:
            return self._answers[key]
        self.done.update(items)
        replies = [{"index": index, "status": 200, "result": item} for index, item in enumerate(items)]
        answer = json.dumps({"errors": False, "took_ms": 0, "counts": {}, "items": replies}).encode()
        if key:
            self._answers[key] = answer
        return answer

    async def _answer(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, *lines: str, length: int | None = None
    ) -> bool:
        fields = [f"HTTP/1.1 {status} X", "content-type: application/json", *lines]
        fields.append(f"content-length: {len(body) if length is None else length}")
        writer.write("\r\n".join([*fields, "", ""]).encode() + body)
        await writer.drain()
        return True

    async def _good(self, writer: Any, items: Any, key: str) -> bool:
        return await self._answer(writer, 200, self._carried_out(items, key))

    async def _busy(self, writer: Any, items: Any, key: str) -> bool:
        return await self._answer(writer, 429, b"{}", "retry-after: 0")

    async def _full(self, writer: Any, items: Any, key: str) -> bool:
        return await self._answer(writer, 503, b"", "retry-after: Thu, 01 Jan 1970 00:00:00 GMT")

    async def _laden(self, writer: Any, items: Any, key: str) -> bool:
        """Take the first item alone."""
        taken = json.loads(self._carried_out(items[:1], ""))["items"]
        full = {"type": "/problems/queue-full", "code": "queue_full", "title": "Full", "retryable": True}
        left = [{"index": index, "status": 503, "error": full} for index in range(1, len(items))]
        return await self._answer(writer, 200, json.dumps({"items": taken + left}).encode())

    async def _barred(self, writer: Any, items: Any, key: str) -> bool:
        return await self._answer(writer, 403, b"not you")

    async def _small(self, writer: Any, items: Any, key: str) -> bool:
        if len(items) == 1:
            return await self._good(writer, items, key)
        return await self._answer(writer, 413, b"")

    async def _silent(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and hang up without a word."""
        self._carried_out(items, key)
        return False

    async def _headless(self, writer: Any, items: Any, key: str) -> bool:
        self._carried_out(items, key)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: applic")
        await writer.drain()
        return False

    async def _half(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and send half of the answer."""
        body = self._carried_out(items, key)
        await self._answer(writer, 200, body[: len(body) // 2], length=len(body))
        return False

    async def _chunks(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and break off in the middle of a chunked answer."""
        body = self._carried_out(items, key)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head + b"%x\r\n" % len(body) + body[:-1])
        await writer.drain()
        return False

    async def _slow(self, writer: Any, items: Any, key: str) -> bool:
        body = self._carried_out(items, key)
        await asyncio.sleep(LONG)
        return await self._answer(writer, 200, body)

    async def _drip(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and send the answer byte by byte, for ever."""
        body = self._carried_out(items, key)
        await self._answer(writer, 200, b"", length=len(body))
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(1.0)
        return False

    async def _nonsense(self, writer: Any, items: Any, key: str) -> bool:
        self._carried_out(items, key)
        return await self._answer(writer, 200, b'{"items": [{"index": 0, "status"')

    async def _short(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and answer for one item fewer."""
        found = json.loads(self._carried_out(items, key))
        del found["items"][-1]
        return await self._answer(writer, 200, json.dumps(found).encode())

    async def _turned(self, writer: Any, items: Any, key: str) -> bool:
        """Carry out, and answer in another order."""
        found = json.loads(self._carried_out(items, key))
        found["items"].reverse()
        return await self._answer(writer, 200, json.dumps(found).encode())

    async def _away(self, writer: Any, items: Any, key: str) -> bool:
        return await self._answer(writer, 307, b"", f"location: {self.url}/v1/elsewhere/batch")

    async def _noise(self, writer: Any, items: Any, key: str) -> bool:
        self._carried_out(items, key)
        writer.write(b"\x00\x01SSH-2.0 nobody\r\n\r\n")
        await writer.drain()
        return False


@pytest.fixture
async def misbehave() -> AsyncIterator[Any]:
    """Start a server with a plan: what each batch in turn meets."""
    started: list[FaultServer] = []

    async def start(plan: Callable[[], str]) -> FaultServer:
        server = FaultServer(plan)
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()


@pytest.fixture(params=["aiohttp", "httpx2"])
def transport(request: pytest.FixtureRequest) -> Any:
    """What makes a transport."""
    return AiohttpTransport if request.param == "aiohttp" else Httpx2Transport


@pytest.fixture(scope="session")
def real_server() -> Iterator[Server]:
    with running("uvicorn") as server:
        yield server


def ran(server: Any) -> float:
    """Return how many items the handler ``anything`` of a real server has answered."""
    lines = server.get("/metrics").body.decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith('gristmill_items_total{handler="anything"')
    )


class Proxy:
    """Hands bytes on, and cuts each connection after so many bytes of answers as its plan says."""

    def __init__(self, port: int, plan: Callable[[], int | None]) -> None:
        self._to = port
        self._plan = plan
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.cuts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        left = self._plan()
        back, there = await asyncio.open_connection("127.0.0.1", self._to)
        asking = asyncio.create_task(_copy(reader, there))
        try:
            while piece := await back.read(4096):
                if left is not None and len(piece) > left:
                    writer.write(piece[:left])
                    await writer.drain()
                    self.cuts += 1
                    break
                left = None if left is None else left - len(piece)
                writer.write(piece)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            asking.cancel()
            await asyncio.wait([asking])
            writer.close()
            there.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()


@pytest.fixture
async def cut(real_server: Server) -> AsyncIterator[Any]:
    """Start a proxy to a real server, with a plan of bytes."""
    started: list[Proxy] = []

    async def start(plan: Callable[[], int | None]) -> Proxy:
        proxy = Proxy(real_server.port, plan)
        await proxy.start()
        started.append(proxy)
        return proxy

    yield start
    for proxy in started:
        await proxy.stop()
