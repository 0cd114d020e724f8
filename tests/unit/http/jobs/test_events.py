from __future__ import annotations

import asyncio
import json
from typing import Any

from gristmill.errors import StoreUnavailable
from gristmill.http.drain import Drain
from gristmill.http.jobs.call import Call
from gristmill.http.jobs.events import EventsEndpoint, event
from gristmill.http.jobs.query import Query
from gristmill.http.problems import Reply, StreamedReply


class Caller:
    """Follows one job; hangs up when told to."""

    def __init__(self, desk: Any, job: str, seen: bytes | None = None, heartbeat: float = 15.0) -> None:
        self.drain = Drain([])
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        headers = {} if seen is None else {b"last-event-id": seen}
        self._call = Call(headers, self._messages.get, Query(b""), {"job": job}, "/v1")
        self._endpoint = EventsEndpoint(desk.jobs, self.drain, heartbeat)

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def reply(self) -> Reply | StreamedReply:
        return await self._endpoint(self._call)

    async def chunks(self) -> Any:
        reply = await self.reply()
        assert isinstance(reply, StreamedReply)
        assert dict(reply.headers)[b"content-type"] == b"text/event-stream"
        return reply.chunks


def read(chunk: bytes) -> tuple[str, str | None, Any]:
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return fields["event"], fields.get("id"), json.loads(fields["data"])


def test_an_event_ends_with_a_blank_line() -> None:
    assert event("drain", b"{}") == b"event: drain\ndata: {}\n\n"


async def test_progress_is_told_until_the_end_and_then_no_more(desk: Any) -> None:
    desk.gate.clear()
    job = (await desk.make([{"text": "a"}])).json()["id"]
    chunks = await Caller(desk, job).chunks()
    assert (await anext(chunks)).startswith(b"retry: ")
    name, _, data = read(await anext(chunks))
    assert (name, data["id"]) == ("progress", job)
    desk.gate.set()
    rest = [read(chunk) async for chunk in chunks]
    assert [each[0] for each in rest].count("done") == 1
    name, last, data = rest[-1]
    assert (name, data["state"], data["counts"]["succeeded"]) == ("done", "completed", 1)
    assert last is not None
    again = await Caller(desk, job, last.encode()).reply()
    assert (again.status, isinstance(again, Reply)) == (204, True)


async def test_the_same_state_has_the_same_id_and_is_not_told_twice(desk: Any) -> None:
    job = (await desk.make([{"text": "a"}], "/v1/echo/jobs?delay=1000")).json()["id"]
    first = await Caller(desk, job).chunks()
    await anext(first)
    _, seen, _ = read(await anext(first))
    await first.aclose()
    caller = Caller(desk, job, str(seen).encode(), heartbeat=0.0)
    second = await caller.chunks()
    await anext(second)
    assert await anext(second) == b": heartbeat\n\n"
    await second.aclose()


async def test_a_drain_is_told_and_ends_the_stream(desk: Any) -> None:
    job = (await desk.make([{"text": "a"}], "/v1/echo/jobs?delay=1000")).json()["id"]
    caller = Caller(desk, job)
    chunks = await caller.chunks()
    await anext(chunks)
    await anext(chunks)
    caller.drain.begin()
    assert [read(chunk)[0] async for chunk in chunks] == ["drain"]


async def test_a_caller_that_hangs_up_ends_the_stream(desk: Any) -> None:
    from gristmill.http.body import ClientGone  # noqa: PLC0415 - of this test alone

    job = (await desk.make([{"text": "a"}], "/v1/echo/jobs?delay=1000")).json()["id"]
    caller = Caller(desk, job)
    chunks = await caller.chunks()
    await anext(chunks)
    await anext(chunks)
    caller.hang_up()
    try:
        left = [chunk async for chunk in chunks]
    except ClientGone:
        left = []
    assert left == []


async def test_a_store_that_goes_in_between_is_told(desk: Any) -> None:
    job = (await desk.make([{"text": "a"}], "/v1/echo/jobs?delay=1000")).json()["id"]
    chunks = await Caller(desk, job).chunks()
    await anext(chunks)
    await anext(chunks)
    desk.store.error = StoreUnavailable("gone")
    assert [read(chunk)[0] async for chunk in chunks] == ["error"]
