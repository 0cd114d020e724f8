"""One item and a batch of items without a server: bytes in, a reply out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from gristmill import BatchHandler, Failed, batch
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.endpoints import BatchEndpoint, SingleEndpoint
from gristmill.http.problems import Reply, Statuses
from gristmill.http.settings import HttpLimits
from gristmill.http.watch import Message


def bench(handler: BatchHandler[Any, Any]) -> Bench:
    return Bench(handler, HttpLimits(), Statuses(), Drain([handler]))


def numbers(**options: Any) -> BatchHandler[int, float | Failed]:
    @batch(name="numbers", **options)
    async def halves(items: list[int]) -> list[float | Failed]:
        if 13 in items:
            raise ValueError("hunter2")
        return [
            Failed("negative", "out_of_range") if n < 0 else n / 2 if n < 100 else float("nan") for n in items
        ]

    return halves


class Caller:
    """Sends one body; hangs up when told to."""

    def __init__(self, body: bytes) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})

    async def receive(self) -> Message:
        return await self._messages.get()

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


async def ask(endpoint: Any, body: object, *headers: tuple[bytes, bytes]) -> Reply:
    caller = Caller(body if isinstance(body, bytes) else json.dumps(body).encode())
    reply = await endpoint([(b"content-type", b"application/json"), *headers], caller.receive)
    assert isinstance(reply, Reply)
    return reply


def code(reply: Reply) -> tuple[int, str]:
    assert dict(reply.headers)[b"content-type"] == b"application/problem+json"
    return reply.status, json.loads(reply.body)["code"]


async def test_an_item_is_answered_with_its_result_and_its_batch() -> None:
    reply = await ask(SingleEndpoint(bench(numbers())), 4)
    headers = dict(reply.headers)
    assert (reply.status, reply.body) == (200, b"2.0")
    assert headers[b"content-length"] == b"3"
    assert headers[b"batch-size"] == b"1"
    assert headers[b"server-timing"].startswith(b"queue;dur=")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"-1", (422, "out_of_range")),
        (b"13", (500, "handler_error")),
        (b"100", (500, "handler_contract")),
        (b'"4"', (422, "invalid_item")),
        (b"4 4", (400, "malformed_json")),
        (b" " * ((1 << 20) + 1), (413, "content_too_large")),
    ],
)
async def test_what_goes_wrong_has_its_own_problem(body: bytes, expected: tuple[int, str]) -> None:
    reply = await ask(SingleEndpoint(bench(numbers())), body)
    assert code(reply) == expected
    assert b"hunter2" not in reply.body


async def test_callers_of_the_same_moment_share_a_batch() -> None:
    endpoint = SingleEndpoint(bench(numbers()))
    replies = await asyncio.gather(*(ask(endpoint, n) for n in range(5)))
    assert [json.loads(reply.body) for reply in replies] == [n / 2 for n in range(5)]
    assert {dict(reply.headers)[b"batch-size"] for reply in replies} == {b"5"}


@pytest.mark.parametrize("make", [SingleEndpoint, BatchEndpoint])
async def test_a_closed_handler_is_told(make: Callable[[Bench], Any]) -> None:
    handler = numbers()
    endpoint = make(bench(handler))
    await handler.aclose()
    reply = await ask(endpoint, [1] if make is BatchEndpoint else 1)
    assert code(reply) == (503, "closed")
    assert int(dict(reply.headers)[b"retry-after"]) >= 1


@pytest.mark.parametrize("make", [SingleEndpoint, BatchEndpoint])
@pytest.mark.looptime
async def test_the_items_of_a_caller_that_hangs_up_are_dropped(make: Callable[[Bench], Any]) -> None:
    handler = numbers(max_wait=10.0)
    caller = Caller(b"[1]" if make is BatchEndpoint else b"1")
    asked = asyncio.ensure_future(
        make(bench(handler))([(b"content-type", b"application/json")], caller.receive)
    )
    await asyncio.sleep(1.0)
    assert handler.stats().pending == 1
    caller.hang_up()
    assert await asked is None
    assert asyncio.get_running_loop().time() < 2.0
    await handler.aclose()
    assert handler.stats().items["cancelled"] == 1
    assert handler.stats().batches == 0


@pytest.mark.parametrize("make", [SingleEndpoint, BatchEndpoint])
@pytest.mark.looptime
async def test_a_cancelled_request_drops_its_items_and_goes_on(make: Callable[[Bench], Any]) -> None:
    handler = numbers(max_wait=10.0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await ask(make(bench(handler)), [1] if make is BatchEndpoint else 1)
    await handler.aclose()
    assert handler.stats().batches == 0


async def test_a_batch_pairs_verdicts_with_items() -> None:
    reply = json.loads((await ask(BatchEndpoint(bench(numbers())), [4, -1, "x", 100, 6])).body)
    assert [item["status"] for item in reply["items"]] == [200, 422, 422, 500, 200]
    assert [item.get("result") for item in reply["items"]] == [2.0, None, None, None, 3.0]
    assert reply["counts"] == {"total": 5, "succeeded": 2, "failed": 3, "unprocessed": 0}


async def test_a_strict_batch_runs_nothing_if_no_batch_can_hold_an_item() -> None:
    handler = numbers(max_weight=10, weigh=abs)
    endpoint = BatchEndpoint(bench(handler))
    strict = (b"prefer", b"handling=strict")
    reply = await ask(endpoint, {"items": [{"data": 4}, {"data": 50}]}, strict)
    assert code(reply) == (422, "invalid_item")
    assert [error["pointer"] for error in json.loads(reply.body)["errors"]] == ["#/items/1"]
    assert handler.stats().batches == 0
    assert json.loads((await ask(endpoint, [4, 6], strict)).body)["counts"]["succeeded"] == 2


async def test_a_strict_batch_runs_nothing_if_an_item_is_bad() -> None:
    handler = numbers()
    endpoint = BatchEndpoint(bench(handler))
    reply = await ask(endpoint, [4, "x"], (b"prefer", b"handling=strict, return=minimal"))
    assert code(reply) == (422, "invalid_item")
    assert json.loads(reply.body)["errors"][0]["pointer"] == "#/1"
    assert dict(reply.headers)[b"preference-applied"] == b"handling=strict, return=minimal"
    assert handler.stats().batches == 0


async def test_an_item_heavier_than_any_batch_fails_alone() -> None:
    endpoint = BatchEndpoint(bench(numbers(max_weight=10, weigh=abs)))
    reply = json.loads((await ask(endpoint, [4, 50, 6, "x"])).body)
    assert [item["status"] for item in reply["items"]] == [200, 413, 200, 422]


@pytest.mark.parametrize("option", ["key", "weigh", "dedupe"])
async def test_an_item_that_the_handlers_own_functions_do_not_take_fails_alone(option: str) -> None:
    options: dict[str, Any] = {option: lambda n: 12 // n}
    if option == "weigh":
        options["max_weight"] = 6
    reply = await ask(BatchEndpoint(bench(numbers(**options))), [4, 0, 1, 6])
    verdicts = [(item["status"], item.get("result")) for item in json.loads(reply.body)["items"]]
    heavy = (413, None) if option == "weigh" else (200, 0.5)
    assert verdicts == [(200, 2.0), (500, None), heavy, (200, 3.0)]


@pytest.mark.looptime
async def test_a_full_queue_refuses_the_whole_batch() -> None:
    handler = numbers(max_pending=2, max_wait=10.0)
    waiting = [handler(1), handler(2)]
    reply = await ask(BatchEndpoint(bench(handler)), [3])
    single = await ask(SingleEndpoint(bench(handler)), 3)
    assert code(reply) == code(single) == (503, "queue_full")
    assert b"retry-after" in dict(reply.headers)
    await asyncio.gather(*waiting)
