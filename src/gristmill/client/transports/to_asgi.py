"""Requests to an ASGI application in this process: for tests, and for programs that hold both ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from gristmill.client.transports.protocol import Body, Request, Response, lost
from gristmill.errors import ServerUnreachable

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class ASGITransport:
    """Calls *application* on the running loop, without a socket, and in no context of its caller's.

    Its lifespan begins with the first request and ends in ``aclose``; an application may have none.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lifespan: _Lifespan | None = None
        self._calls: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncGenerator[Response, None]:
        """Send *request*, as ``Transport`` says."""
        if self._lifespan is None or self._lifespan.is_cut_off:
            self._lifespan = _Lifespan(self._application)
        await self._lifespan.begun()
        exchange = _Exchange(request)
        call = asyncio.create_task(
            exchange.run(self._application), name="gristmill request", context=contextvars.Context()
        )
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            await exchange.head()
            yield exchange
        finally:
            exchange.hang_up()
            if not call.done():
                await asyncio.wait([call], timeout=1.0)
            if not call.done():
                call.cancel()
                await asyncio.wait([call])

    async def aclose(self) -> None:
        """End what runs, and the lifespan."""
        for call in list(self._calls):
            call.cancel()
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.end()


class _Exchange:
    """One request and its answer, between two tasks."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._body = _pieces_of(request.body)
        self._is_sent = False
        self._gone = asyncio.Event()
        self._has_head = asyncio.Event()
        self._answer: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=4)
        self._is_whole = False
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def run(self, application: Application) -> None:
        url = urlsplit(self._request.url)
        headers = {"host": url.netloc, **self._request.headers}
        if isinstance(self._request.body, bytes):
            headers["content-length"] = str(len(self._request.body))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self._request.method,
            "scheme": url.scheme,
            "path": unquote(url.path) or "/",
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": (url.hostname or "", url.port or 80),
        }
        try:
            await application(scope, self._receive, self._send)
        except Exception:  # noqa: BLE001 - a server would log it and hang up, which is what the caller sees
            self._is_whole = False
        finally:
            self._has_head.set()
            if not self._is_whole:
                await self._put(None)

    async def _receive(self) -> Message:
        if not self._is_sent:
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                self._is_sent = True
                return {"type": "http.request", "body": b"", "more_body": False}
            is_last = isinstance(self._request.body, bytes)
            self._is_sent = is_last
            return {"type": "http.request", "body": piece, "more_body": not is_last}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            raise OSError("the caller has gone")
        if message["type"] == "http.response.start":
            self.status = message["status"]
            found: dict[str, str] = {}
            for raw, value in message.get("headers", ()):
                name = raw.decode("latin-1").lower()
                text = value.decode("latin-1")
                found[name] = f"{found[name]}, {text}" if name in found else text
            self.headers = found
            self._has_head.set()
        elif message["type"] == "http.response.body":
            if message.get("body"):
                await self._put(bytes(message["body"]))
            if not message.get("more_body"):
                self._is_whole = True
                await self._put(None)

    async def _put(self, piece: bytes | None) -> None:
        putting = asyncio.ensure_future(self._answer.put(piece))
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait([putting, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
            gone.cancel()

    async def head(self) -> None:
        await self._has_head.wait()
        if not self.status:
            raise lost(self._request.url, "the application failed", begun=False)

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._answer.get()) is not None:
            yield piece
        if not self._is_whole:
            raise lost(self._request.url, "the application failed", begun=True)

    def hang_up(self) -> None:
        self._gone.set()


async def _pieces_of(body: Body | None) -> AsyncGenerator[bytes, None]:
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        async for piece in body:
            yield piece


class _Lifespan:
    """The lifespan of an application, in a task of its own."""

    def __init__(self, application: Application) -> None:
        self._to_end = asyncio.Event()
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure = ""
        self._asked = 0
        self._task = asyncio.create_task(
            self._run(application), name="gristmill lifespan", context=contextvars.Context()
        )

    async def _run(self, application: Application) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            with contextlib.suppress(Exception):  # it knows no lifespan
                await application(scope, self._receive, self._send)
        finally:
            self._begun.set()
            self._ended.set()

    async def _receive(self) -> Message:
        self._asked += 1
        if self._asked == 1:
            return {"type": "lifespan.startup"}
        await self._to_end.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.failed":
            self._failure = message.get("message") or "its lifespan failed"
        if message["type"].startswith("lifespan.startup"):
            self._begun.set()
        else:
            self._ended.set()

    @property
    def is_cut_off(self) -> bool:
        return self._task.cancelled()  # by the end of its loop

    async def begun(self) -> None:
        await self._begun.wait()
        if self._failure:
            raise ServerUnreachable(f"the application did not start: {self._failure}")

    async def end(self) -> None:
        self._to_end.set()
        await self._ended.wait()
        if not self._task.done():
            await asyncio.wait([self._task])
