from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from gristmill.http.asgi import Served, linger
from gristmill.http.body import ClientGone
from gristmill.http.headers import RawHeaders
from gristmill.http.problems import CLOSE, Reply, StreamedReply, problem, problem_reply
from gristmill.http.watch import Message, Receive
from gristmill.telemetry.requests import RequestCounter

pytestmark = pytest.mark.looptime
MIB = 1 << 20


class Connection:
    """A server's side of one request: gives *pieces* of a body, then waits; keeps what is sent."""

    def __init__(self, *pieces: Message) -> None:
        self._pieces = iter(pieces)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        piece = next(self._pieces, None)
        if piece is None:
            await asyncio.get_running_loop().create_future()
            raise AssertionError
        return piece

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def serve(reply: Any, connection: Connection, method: str = "POST") -> RequestCounter:
    async def endpoint(headers: RawHeaders, receive: Receive) -> Any:
        if isinstance(reply, Exception):
            raise reply
        return reply

    counter = RequestCounter({"echo"})
    scope = {"type": "http", "method": method, "headers": []}
    await Served(endpoint, counter, "echo", "single")(scope, connection.receive, connection.send)
    return counter


async def test_a_reply_is_sent_whole_and_counted() -> None:
    connection = Connection()
    counter = await serve(Reply(200, ((b"a", b"b"),), b"xyz"), connection)
    assert connection.sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]},
        {"type": "http.response.body", "body": b"xyz"},
    ]
    assert counter.snapshot() == {("echo", "single", 200): 1}


@pytest.mark.parametrize("streamed", [False, True])
async def test_headers_that_middleware_adds_are_of_one_answer_only(*, streamed: bool) -> None:
    shared = [(b"a", b"b")]
    connection = Connection()
    await serve(StreamedReply(200, shared, chunks()) if streamed else Reply(200, shared, b""), connection)
    connection.sent[0]["headers"].append((b"c", b"d"))
    assert shared == [(b"a", b"b")]


async def test_nobody_is_answered_who_hung_up() -> None:
    connection = Connection()
    counter = await serve(None, connection)
    assert connection.sent == []
    assert counter.snapshot() == {}


async def test_a_head_has_no_body() -> None:
    connection = Connection()
    await serve(Reply(200, (), b"xyz"), connection, "HEAD")
    assert connection.body == b""


async def test_a_bug_is_answered_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection()
    counter = await serve(RuntimeError("hunter2"), connection)
    assert connection.sent[0]["status"] == 500
    assert b"hunter2" not in connection.body
    assert "hunter2" in caplog.text
    assert counter.snapshot() == {("echo", "single", 500): 1}


async def test_a_refused_caller_may_send_on_before_the_last_byte_of_its_answer() -> None:
    piece = {"type": "http.request", "body": b"x" * MIB, "more_body": True}
    last = {"type": "http.request", "body": b"x", "more_body": False}
    connection = Connection(*[piece] * 9, last)
    refusal = problem_reply(problem("content_too_large"), (CLOSE,))
    await serve(refusal, connection)
    assert connection.body == refusal.body
    assert connection.sent[-1]["body"] == refusal.body[-1:]
    assert asyncio.get_running_loop().time() == 0.0


async def test_a_refused_caller_that_sends_nothing_is_not_kept_waiting() -> None:
    await linger(Connection().receive)
    assert asyncio.get_running_loop().time() == pytest.approx(0.25)


async def test_a_refused_caller_that_never_ends_is_cut_off() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * MIB, "more_body": True}

    await linger(receive)
    assert asked == 32


async def chunks(*pieces: bytes | Exception) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def test_a_stream_is_sent_as_it_comes() -> None:
    connection = Connection()
    await serve(StreamedReply(200, (), chunks(b"a", b"b")), connection)
    assert [message.get("body") for message in connection.sent] == [None, b"a", b"b", b""]
    assert connection.sent[-1].get("more_body", False) is False


async def test_a_stream_whose_caller_hung_up_has_no_end() -> None:
    connection = Connection()
    await serve(StreamedReply(200, (), chunks(b"a", ClientGone())), connection)
    assert connection.sent[-1]["more_body"] is True


async def test_a_stream_that_nobody_reads_is_given_up() -> None:
    connection = Connection()

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.get_running_loop().create_future()

    async def endpoint(headers: RawHeaders, receive: Receive) -> StreamedReply:
        return StreamedReply(200, (), chunks(b"a", b"b"))

    served = Served(endpoint, RequestCounter({"echo"}), "echo", "stream", idle_timeout=60.0)
    await served({"type": "http", "method": "POST", "headers": []}, connection.receive, stuck)
    assert asyncio.get_running_loop().time() == pytest.approx(60.0)
