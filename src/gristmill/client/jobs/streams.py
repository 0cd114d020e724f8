"""Answers about jobs that come bit by bit: lines, and events."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator

from gristmill.client.asked_wait import asked_wait
from gristmill.client.jobs.requests import JobRequests, job_of
from gristmill.client.jobs.sse import EventReader, EventTooLarge
from gristmill.client.refusals import of_job, refused
from gristmill.client.transports.protocol import Request, Response
from gristmill.errors import AnswerLost, ClientError, DeadlineExceeded, StoreUnavailable
from gristmill.wire import JobReply

_OK, _NO_CONTENT = 200, 204
_EVENT_STREAM = "text/event-stream"
_SILENCE = 60.0
"""Seconds without a byte, heartbeats included, after which a stream is taken for dead."""
_LOST_AT_MOST = 3
_LONGEST_PAUSE = 5.0


async def lines(requests: JobRequests, url: str) -> AsyncGenerator[bytes, None]:
    """Yield the lines of an answer, the empty ones left out.

    Raises:
        AnswerLost: It broke off, or nothing came for a minute.
        DeadlineExceeded: It did not begin in time.
        GristmillError: The server refused it.
    """
    rest: list[bytes] = []  # of a line that is longer than a piece: put together once
    async with (
        _opened(requests, url, "application/x-ndjson") as response,
        contextlib.aclosing(_pieces(response, url)) as pieces,
    ):
        async for piece in pieces:
            *whole, last = piece.split(b"\n")
            if whole:
                whole[0] = b"".join([*rest, whole[0]])
                rest = []
            rest.append(last)
            for line in whole:
                if line.strip():
                    yield line
    if (line := b"".join(rest)).strip():
        yield line


async def event_jobs(requests: JobRequests, url: str) -> AsyncGenerator[JobReply, None]:
    """Yield a job whenever its events tell that it has changed; end early where events do not come through.

    Raises:
        GristmillError: The server refused it.
    """
    reader = EventReader()
    lost = 0
    while lost < _LOST_AT_MOST:
        try:
            async with contextlib.aclosing(_told(requests, url, reader)) as told:
                async for found in told:
                    lost = 0
                    yield found
                    if found.state.is_final:
                        return
        except (_NoEvents, EventTooLarge):
            return
        except DeadlineExceeded:
            return  # a proxy that keeps them back
        except (ClientError, StoreUnavailable) as error:
            if not error.retryable:
                return  # a server, or a proxy, without this route
        lost += 1
        await asyncio.sleep(min(_LONGEST_PAUSE, reader.retry))


class _NoEvents(Exception):
    """The answer is no stream of events, or there are no more."""


async def _told(requests: JobRequests, url: str, reader: EventReader) -> AsyncGenerator[JobReply, None]:
    async with _opened(requests, f"{url}/events", _EVENT_STREAM, reader.last_id) as response:
        if response.status == _NO_CONTENT or _EVENT_STREAM not in response.headers.get("content-type", ""):
            raise _NoEvents
        async with contextlib.aclosing(_pieces(response, url)) as pieces:
            async for piece in pieces:
                for event in reader.feed(piece):
                    if event.name in ("progress", "done"):
                        yield job_of(event.data)


@contextlib.asynccontextmanager
async def _opened(
    requests: JobRequests, url: str, accept: str, last_id: str = ""
) -> AsyncGenerator[Response, None]:
    sender = requests.sender
    headers = {"accept": accept, **({"last-event-id": last_id} if last_id else {})}
    request = sender.made(Request(method="GET", url=url, headers=headers))
    limit = math.inf if requests.timeout is None else requests.timeout
    deadline = asyncio.get_running_loop().time() + limit
    await sender.wait_at_gate(request, deadline)
    sender.check_open()
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                response = await stack.enter_async_context(sender.transport.open(request))
                if response.status not in (_OK, _NO_CONTENT):
                    found, body = response.headers, await response.read()
                    sender.note(response.status, found)
                    wait = asked_wait(found, time.time())
                    raise of_job(refused("GET", url, response.status, found, body, wait=wait))
        except TimeoutError as error:
            raise DeadlineExceeded(f"GET {url} gave no answer in {limit:g} s") from error
        yield response


async def _pieces(response: Response, url: str) -> AsyncGenerator[bytes, None]:
    """Yield the body piece by piece; a minute of silence is the end of it."""
    pieces = response.pieces()
    while True:
        try:
            async with asyncio.timeout(_SILENCE):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise AnswerLost(f"nothing came from {url} for {_SILENCE:g} s") from error
        yield piece
