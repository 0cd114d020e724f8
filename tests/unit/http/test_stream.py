"""Streams without a server: messages in, lines out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gristmill import BatchHandler, Failed, batch
from gristmill.http.bench import Bench
from gristmill.http.body import ClientGone
from gristmill.http.drain import Drain
from gristmill.http.problems import Reply, Statuses, StreamedReply
from gristmill.http.settings import HttpLimits
from gristmill.http.stream import StreamEndpoint
from gristmill.http.watch import Message

pytestmark = pytest.mark.looptime
NDJSON = [(b"content-type", b"application/x-ndjson")]


def numbers(**options: Any) -> BatchHandler[int, int | Failed]:
    @batch(name="numbers", **options)
    async def doubles(items: list[int]) -> list[int | Failed]:
        return [Failed("negative", "out_of_range") if n < 0 else n * 2 for n in items]

    return doubles


class Caller:
    """Sends pieces of a body when told to."""

    def __init__(self, *pieces: bytes, ends: bool = False) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        for piece in pieces:
            self.send(piece)
        if ends:
            self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def receive(self) -> Message:
        return await self._messages.get()

    def send(self, piece: bytes) -> None:
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


async def open_stream(handler: BatchHandler[Any, Any], caller: Caller, drain: Drain | None = None) -> Any:
    bench = Bench(handler, HttpLimits(), Statuses(), drain or Drain([handler]))
    reply = await StreamEndpoint(bench)(NDJSON, caller.receive)
    assert isinstance(reply, StreamedReply)
    return reply.chunks


async def lines_of(chunks: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join([chunk async for chunk in chunks]).splitlines()]


async def test_each_line_has_its_verdict_and_the_last_line_the_totals() -> None:
    caller = Caller(b"1\n-1\n{", b'\n"x"\n', b"[" * 65 + b"\n2", ends=True)
    *lines, trailer = await lines_of(await open_stream(numbers(), caller))
    assert {line["index"]: line["status"] for line in lines} == {
        0: 200,
        1: 422,
        2: 400,
        3: 422,
        4: 400,
        5: 200,
    }
    assert trailer == {
        "done": True, "errors": True, "counts": {"total": 6, "succeeded": 2, "failed": 4, "unprocessed": 0},
    }  # fmt: skip


async def test_an_item_no_batch_can_hold_fails_alone() -> None:
    caller = Caller(b"1\n500\n2\n", ends=True)
    *lines, trailer = await lines_of(await open_stream(numbers(max_weight=10, weigh=abs), caller))
    assert {line["index"]: line["status"] for line in lines} == {0: 200, 1: 413, 2: 200}
    assert trailer["done"] is True


async def test_a_silent_caller_is_given_up_with_its_totals() -> None:
    *lines, trailer = await lines_of(await open_stream(numbers(), Caller(b"1\n")))
    assert [line["result"] for line in lines] == [2]
    assert (trailer["done"], trailer["error"]["code"]) == (False, "request_timeout")
    assert asyncio.get_running_loop().time() == pytest.approx(60.0)


async def test_draining_ends_the_reading_and_answers_what_was_read() -> None:
    handler = numbers(max_wait=30.0)
    drain = Drain([handler])
    chunks = await open_stream(handler, Caller(b"1\n2\n"), drain)
    asyncio.get_running_loop().call_later(5.0, drain.begin)
    *lines, trailer = await lines_of(chunks)
    assert [line["result"] for line in lines] == [2, 4]
    assert (trailer["done"], trailer["error"]["code"]) == (False, "closed")
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.parametrize("ends", [False, True])
async def test_draining_reaches_every_stream_whatever_the_others_are_at(*, ends: bool) -> None:
    gate = asyncio.Event()

    @batch(name="gated", max_size=2)
    async def gated(items: list[int]) -> list[int]:
        await gate.wait()
        return items

    handler = numbers(max_wait=30.0)
    drain = Drain([gated, handler])
    # One has been read to its end or further than its handler goes, two wait for more.
    pieces = (b"1\n" * (2 if ends else 500), b"1\n", b"1\n")
    callers = [Caller(piece, ends=ends and not i) for i, piece in enumerate(pieces)]
    handlers = (gated, handler, handler)
    streams = [
        asyncio.create_task(lines_of(await open_stream(one, caller, drain)))
        for one, caller in zip(handlers, callers, strict=True)
    ]
    await asyncio.sleep(5.0)
    drain.begin()
    gate.set()
    first, *others = await asyncio.gather(*streams)
    assert first[-1]["done"] is ends
    assert [lines[-1]["error"]["code"] for lines in others] == ["closed", "closed"]
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.parametrize("ends", [False, True])
async def test_a_caller_that_hangs_up_leaves_nothing_behind(*, ends: bool) -> None:
    handler = numbers(max_wait=30.0)
    caller = Caller(b"1\n2\n", ends=ends)
    asyncio.get_running_loop().call_later(5.0, caller.hang_up)
    with pytest.raises(ClientGone):
        await lines_of(await open_stream(handler, caller))
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)
    assert handler.stats().pending == 0
    assert handler.stats().batches == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_reader_that_stops_stops_the_source() -> None:
    handler = numbers(max_size=10)
    caller = Caller(*(b"1\n" * 100 for _ in range(200)), ends=True)
    chunks = await open_stream(handler, caller)
    first = await anext(chunks)
    await asyncio.sleep(10.0)
    taken = handler.stats().items["ok"]
    await asyncio.sleep(10.0)
    assert handler.stats().items["ok"] == taken < 5_000
    rest = b"".join([chunk async for chunk in chunks])
    assert (first + rest).count(b'"result":2') == 20_000


async def test_a_stream_that_is_left_unread_is_closed() -> None:
    handler = numbers(max_wait=30.0)
    chunks = await open_stream(handler, Caller(b"{\n1\n"))
    assert b"malformed_json" in await anext(chunks)
    await chunks.aclose()
    assert handler.stats().pending == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_closed_handler_answers_every_line_it_took() -> None:
    handler = numbers()
    await handler.aclose()
    *lines, trailer = await lines_of(await open_stream(handler, Caller(b"1\n2\n", ends=True)))
    assert {line["error"]["code"] for line in lines} <= {"closed"}
    assert (trailer["done"], trailer["error"]["code"]) == (False, "closed")
    assert trailer["counts"]["unprocessed"] == len(lines) == trailer["counts"]["total"]


async def test_what_a_broken_option_of_the_handler_says_is_in_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(item: int) -> int:
        raise ZeroDivisionError(f"hunter2 {item}")

    lines = await lines_of(await open_stream(numbers(key=broken), Caller(b"1\n", ends=True)))
    assert lines[0]["error"]["code"] == "handler_error"
    assert "hunter2" not in str(lines)
    assert "hunter2" in caplog.text


async def test_a_draining_service_opens_no_stream() -> None:
    drain = Drain([])
    drain.begin()
    bench = Bench(numbers(), HttpLimits(), Statuses(), drain)
    reply = await StreamEndpoint(bench)(NDJSON, Caller().receive)
    assert isinstance(reply, Reply)
    assert reply.status == 503


@pytest.mark.parametrize("option", ["key", "weigh", "dedupe"])
async def test_an_item_that_the_handlers_own_functions_do_not_take_fails_alone(option: str) -> None:
    options: dict[str, Any] = {option: lambda n: 12 // n}
    if option == "weigh":
        options["max_weight"] = 12
    chunks = await open_stream(numbers(**options), Caller(b"4\n0\n6\n", ends=True))
    *verdicts, totals = await lines_of(chunks)
    assert sorted((line["index"], line["status"], line.get("result")) for line in verdicts) == [
        (0, 200, 8),
        (1, 500, None),
        (2, 200, 12),
    ]
    assert totals["done"]
