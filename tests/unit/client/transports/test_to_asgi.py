"""Requests to an application in this process."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gristmill.client.transports.protocol import Request
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import AnswerLost, ServerUnreachable

GET = Request(method="GET", url="http://h:80/a%20b?x=1", headers={"X-One": "1"})


async def sent(transport: ASGITransport, request: Request) -> bytes:
    async with transport.open(request) as response:
        return await response.read()


async def test_the_application_sees_a_request_of_http() -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("none")
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": [(b"A", b"1"), (b"a", b"2")]})
        await send({"type": "http.response.body"})

    async with ASGITransport(app).open(GET) as response:
        assert (response.status, dict(response.headers)) == (204, {"a": "1, 2"})
        assert await response.read() == b""
    assert (scopes[0]["path"], scopes[0]["query_string"], scopes[0]["method"]) == ("/a b", b"x=1", "GET")
    assert (b"x-one", b"1") in scopes[0]["headers"]


async def test_bodies_go_and_come_piece_by_piece() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (message := await receive())["type"] == "http.request":
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
            if not message["more_body"]:
                break
        await send({"type": "http.response.body"})

    async def body() -> AsyncIterator[bytes]:
        for index in range(20):
            yield b"%d," % index

    request = Request(method="POST", url="http://h/", body=body())
    assert await sent(ASGITransport(app), request) == b"".join(b"%d," % index for index in range(20))


@pytest.mark.parametrize("begins", [False, True])
async def test_an_application_that_fails_loses_the_answer(begins: bool) -> None:  # noqa: FBT001 - a parameter
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if begins and scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(10):
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise RuntimeError("it failed")

    with pytest.raises(AnswerLost):
        await sent(ASGITransport(app), GET)


@pytest.mark.looptime
async def test_whoever_hangs_up_is_told_to_the_application() -> None:
    told = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("none")
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await sent(ASGITransport(app), GET)
    assert told.is_set()


async def test_the_lifespan_is_around_all_requests() -> None:
    said: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{word}"
                said.append(word)
                await send({"type": f"lifespan.{word}.complete"})
            return
        said.append("request")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    transport = ASGITransport(app)
    await sent(transport, GET)
    await sent(transport, GET)
    await transport.aclose()
    assert said == ["startup", "request", "request", "shutdown"]


async def test_requests_know_nothing_of_their_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(variable.get())
        variable.set("of the application")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    variable.set("of the caller")
    transport = ASGITransport(app)
    await sent(transport, GET)
    await sent(transport, GET)
    assert set(seen) == {"none"}
    assert variable.get() == "of the caller"


async def test_an_application_that_does_not_start_is_not_reached() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no store"})

    with pytest.raises(ServerUnreachable, match="no store"):
        await sent(ASGITransport(app), GET)
