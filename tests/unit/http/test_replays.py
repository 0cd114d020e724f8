"""Requests with a key: what runs, what is said again, what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gristmill import BatchHandler, Failed, batch
from gristmill.errors import QueueFull
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.endpoints import BatchEndpoint, SingleEndpoint
from gristmill.http.problems import Refused, Reply, Statuses
from gristmill.http.replays import Mark, Replays
from gristmill.http.settings import HttpLimits
from gristmill.http.watch import Message

Header = tuple[bytes, bytes]

REPEAT: Header = (b"idempotency-repeat", b"true")
REPLAYED: Header = (b"idempotent-replayed", b"true")


def key(text: str) -> Header:
    return b"idempotency-key", text.encode()


class Place:
    """A handler that notes what it ran, and its two routes."""

    def __init__(self, **options: Any) -> None:
        self.ran: list[Any] = []
        self.entered, self.gate = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.handler: BatchHandler[Any, Any] = batch(name="n", **options)(self._run)
        bench = Bench(self.handler, HttpLimits(), Statuses(), Drain([self.handler]))
        self.single, self.batch = SingleEndpoint(bench), BatchEndpoint(bench)

    async def _run(self, items: list[Any]) -> list[Any]:
        self.ran += items
        self.entered.set()
        await self.gate.wait()
        answers = {"broken": ValueError("x"), "busy": Failed("later", "busy", retryable=True)}
        return [answers.get(item, item) if isinstance(item, str) else item for item in items]


class Caller:
    def __init__(self, endpoint: Any, body: Any, *headers: Header) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        text = json.dumps(body).encode()
        self._messages.put_nowait({"type": "http.request", "body": text, "more_body": False})
        every = [(b"content-type", b"application/json"), *headers]
        self.task: asyncio.Task[Any] = asyncio.ensure_future(endpoint(every, self._messages.get))

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


async def ask(endpoint: Any, body: Any, *headers: Header) -> Reply:
    reply = await Caller(endpoint, body, *headers).task
    assert isinstance(reply, Reply)
    return reply


async def ask_until_answered(endpoint: Any, body: Any, *headers: Header) -> Reply:
    while True:
        reply = await ask(endpoint, body, *headers)
        if code(reply) != "idempotency_in_flight":
            return reply


def code(reply: Reply) -> str:
    found: str = json.loads(reply.body).get("code", "") if reply.status != 200 else ""
    return found


@pytest.mark.parametrize(("route", "body"), [("single", 1), ("batch", [1, 2])])
async def test_a_repeat_is_answered_with_the_same_and_runs_nothing(route: str, body: Any) -> None:
    place = Place()
    endpoint = getattr(place, route)
    first = await ask(endpoint, body, key("a"))
    again = await ask(endpoint, body, key('"a"'), REPEAT)
    assert (again.status, again.body) == (first.status, first.body) == (200, first.body)
    assert REPLAYED in again.headers
    assert REPLAYED not in first.headers
    assert place.ran == (body if isinstance(body, list) else [body])
    await ask(endpoint, body)
    await ask(endpoint, body, key("b"))
    assert len(place.ran) == 3 * len(body if isinstance(body, list) else [body])


async def test_a_key_belongs_to_its_route() -> None:
    place = Place()
    await ask(place.single, 1, key("a"))
    assert json.loads((await ask(place.batch, [1], key("a"))).body)["items"][0]["result"] == 1
    assert place.ran == [1, 1]


async def test_another_body_under_the_key_is_refused() -> None:
    place = Place()
    await ask(place.batch, [1], key("a"))
    reply = await ask(place.batch, [2], key("a"))
    assert (reply.status, code(reply)) == (422, "idempotency_key_reused")
    assert place.ran == [1]


async def test_a_key_that_is_none_is_refused() -> None:
    reply = await ask(Place().batch, [1], key('"'))
    assert (reply.status, code(reply)) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize(("route", "body"), [("single", 1), ("batch", [1])])
async def test_a_caller_who_hung_up_may_ask_again(route: str, body: Any) -> None:
    place = Place(max_wait=0)
    endpoint = getattr(place, route)
    place.gate.clear()
    caller = Caller(endpoint, body, key("a"))
    await place.entered.wait()
    caller.hang_up()
    assert await caller.task is None
    flying = await ask(endpoint, body, key("a"), REPEAT)
    assert (flying.status, code(flying)) == (409, "idempotency_in_flight")
    other = await ask(endpoint, 5 if body == 1 else [5], key("a"))
    assert code(other) == "idempotency_key_reused"
    place.gate.set()
    reply = await ask_until_answered(endpoint, body, key("a"), REPEAT)
    assert REPLAYED in reply.headers
    assert place.ran == [1]


async def test_items_that_wait_are_run_although_their_caller_hung_up() -> None:
    place = Place(max_size=1, concurrency=1)
    place.gate.clear()
    caller = Caller(place.batch, [1, 2, 3], key("a"))
    await place.entered.wait()
    caller.hang_up()
    assert await caller.task is None
    place.gate.set()
    reply = await ask_until_answered(place.batch, [1, 2, 3], key("a"))
    assert [each["result"] for each in json.loads(reply.body)["items"]] == [1, 2, 3]
    assert place.ran == [1, 2, 3]


async def test_a_repeat_of_what_is_not_known_is_refused() -> None:
    place = Place()
    reply = await ask(place.batch, [1], key("a"), REPEAT)
    assert (reply.status, code(reply)) == (409, "idempotency_unknown")
    assert not json.loads(reply.body)["retryable"]
    assert not place.ran


async def test_what_was_not_done_is_not_kept() -> None:
    place = Place()
    assert (await ask(place.single, "busy", key("a"))).status == 503
    assert (await ask(place.single, "busy", key("a"))).status == 503
    assert place.ran == ["busy", "busy"]
    assert (await ask(place.batch, {"no": 1}, key("b"))).status == 422
    assert (await ask(place.batch, [1], key("b"))).status == 200


async def test_a_full_queue_is_not_kept() -> None:
    place = Place(max_size=1, max_pending=1, concurrency=1)
    place.gate.clear()
    caller = Caller(place.batch, [1])
    await place.entered.wait()
    assert code(await ask(place.batch, [3], key("a"))) == QueueFull.code
    place.gate.set()
    await caller.task
    assert (await ask(place.batch, [3], key("a"))).status == 200
    assert place.ran == [1, 3]


async def test_a_failure_of_the_handler_is_kept() -> None:
    place = Place()
    assert (await ask(place.single, "broken", key("a"))).status == 500
    assert REPLAYED in (await ask(place.single, "broken", key("a"))).headers
    assert place.ran == ["broken"]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def answer(replays: Replays, name: str, body: bytes = b"") -> bool:
    """Tell whether an answer to *name* was kept, after asking for it."""
    found = replays.look("p", {b"idempotency-key": name.encode()}, b"same")
    if isinstance(found, Reply):
        return True
    assert isinstance(found, Mark)

    async def make() -> Reply:
        return Reply(200, (), body)

    await replays.run(found, make())
    await asyncio.sleep(0)
    return False


async def test_answers_are_kept_for_their_time() -> None:
    clock = Clock()
    replays = Replays(HttpLimits(held_seconds=10), clock)
    assert [await answer(replays, "a"), await answer(replays, "a")] == [False, True]
    clock.now = 9.9
    assert await answer(replays, "a")
    clock.now = 10.0
    assert not await answer(replays, "a")


async def test_the_oldest_of_too_many_answers_goes() -> None:
    replays = Replays(HttpLimits(held_answers=2), Clock())
    assert [await answer(replays, name) for name in "abc"] == [False] * 3
    assert [await answer(replays, name) for name in "bc"] == [True] * 2
    assert not await answer(replays, "a")


async def test_answers_keep_to_their_bytes() -> None:
    replays = Replays(HttpLimits(held_bytes=5000), Clock())
    for name in "abc":
        await answer(replays, name, bytes(2000))
    assert [await answer(replays, "b"), await answer(replays, "c")] == [False, True]
    await answer(replays, "large", bytes(6000))
    assert not await answer(replays, "large", bytes(6000))


async def test_what_raises_is_not_kept_and_anything_else_is_told_as_an_error_of_ours() -> None:
    replays = Replays(HttpLimits(), Clock())
    mark = replays.look("p", {b"idempotency-key": b"a"}, b"")
    assert isinstance(mark, Mark)

    async def broken() -> Reply:
        raise ValueError("secret")

    reply = await replays.run(mark, broken())
    assert (reply.status, b"secret" in reply.body) == (500, False)
    with pytest.raises(Refused):
        replays.look("p", {b"idempotency-key": b"a"}, b"other")
