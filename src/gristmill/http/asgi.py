"""Endpoints on an ASGI server: one adapter for every route."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from gristmill.http.body import ClientGone
from gristmill.http.headers import RawHeaders
from gristmill.http.problems import CLOSE, Reply, StreamedReply, new_instance, problem, problem_reply
from gristmill.http.watch import Message, Receive
from gristmill.telemetry.requests import RequestCounter

Scope: TypeAlias = MutableMapping[str, Any]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Endpoint: TypeAlias = Callable[[RawHeaders, Receive], Awaitable[Reply | StreamedReply | None]]

_LINGER_BYTES = 32 << 20
_FIRST_BYTE_SECONDS = 0.25  # it may send nothing at all, and wait for the answer
_NEXT_BYTE_SECONDS = 1.0

_LOG = logging.getLogger("gristmill.http")


class Served:
    """An endpoint as an ASGI application.

    Args:
        endpoint: Makes the replies.
        counter: Counts them.
        handler: The handler's name, or empty: a label of the count.
        route: The other label.
        idle_timeout: Seconds a caller may leave a streamed reply unread.
    """

    __slots__ = ("_counter", "_endpoint", "_handler", "_idle_timeout", "_route")

    def __init__(
        self,
        endpoint: Endpoint,
        counter: RequestCounter,
        handler: str,
        route: str,
        idle_timeout: float = 60.0,
    ) -> None:
        self._endpoint = endpoint
        self._counter = counter
        self._handler = handler
        self._route = route
        self._idle_timeout = idle_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nobody is answered who hung up."""
        reply = await self.reply(scope, receive)
        if reply is None:
            return
        if isinstance(reply, StreamedReply) or CLOSE in reply.headers:
            await self.send(reply, receive, send)
            return
        await send(_start(reply))
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.body", "body": body})

    async def reply(self, scope: Scope, receive: Receive) -> Reply | StreamedReply | None:
        """Return the reply to one request, counted; None if the caller hung up."""
        try:
            reply = await self._ask(scope, receive)
        except Exception as error:  # noqa: BLE001 - the last resort of every route: logged, and told without its text
            reply = internal_error(error)
        if reply is not None:
            self._counter.count(self._handler, self._route, reply.status)
        return reply

    async def _ask(self, scope: Scope, receive: Receive) -> Reply | StreamedReply | None:
        return await self._endpoint(scope["headers"], receive)

    async def send(self, reply: Reply | StreamedReply, receive: Receive, send: Send) -> None:
        """Send a reply that takes a while: one that is streamed, or one after which the connection closes."""
        await send(_start(reply))
        if isinstance(reply, Reply):
            # The last byte comes last: at the end of an answer some servers close, whatever comes in.
            await send({"type": "http.response.body", "body": reply.body[:-1], "more_body": True})
            await linger(receive)
            await send({"type": "http.response.body", "body": reply.body[-1:]})
        elif await self._send_chunks(reply.chunks, send):
            await send({"type": "http.response.body", "body": b""})

    async def _send_chunks(self, chunks: AsyncGenerator[bytes, None], send: Send) -> bool:
        """Send as the caller reads; False for one who hung up or reads nothing any more."""
        async with contextlib.aclosing(chunks):
            try:
                async for chunk in chunks:
                    async with asyncio.timeout(self._idle_timeout):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            except (ClientGone, OSError) as error:  # TimeoutError is an OSError
                _LOG.info("a caller left its stream: %s", type(error).__name__)
                return False
        return True


def _start(reply: Reply | StreamedReply) -> Message:
    # A list of its own: middleware adds to it, and the headers of some replies are everybody's.
    return {"type": "http.response.start", "status": reply.status, "headers": list(reply.headers)}


async def linger(receive: Receive) -> None:
    """Throw away what a refused caller still sends, for a while.

    A connection that is closed on unread bytes is reset, and the reset may
    overtake the answer: the caller would see no 413, but a broken pipe.
    """
    left = _LINGER_BYTES
    patience = _FIRST_BYTE_SECONDS
    try:
        while left > 0:
            async with asyncio.timeout(patience):
                message = await receive()
            patience = _NEXT_BYTE_SECONDS
            if message["type"] != "http.request" or not message.get("more_body", False):
                return
            left -= len(message.get("body", b""))
    except TimeoutError:
        return  # it sends nothing more: all it sent is read


def internal_error(error: Exception) -> Reply:
    """Log *error* under an instance and return the reply that has only that."""
    instance = new_instance()
    _LOG.error("a request failed (%s)", instance, exc_info=error, extra={"instance": instance})
    return problem_reply(problem("internal_error", instance=instance))
