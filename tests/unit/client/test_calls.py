"""Calls, lists and streams of a handler that is elsewhere."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gristmill import BatchClient, Client, Failed, Ok, Retry, RetryBudget
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import (
    BatcherClosed,
    ItemFailed,
    ManyFailed,
    QueueFull,
    RequestRefused,
)

pytestmark = pytest.mark.looptime


def client_of(script: Any, **options: Any) -> Client:
    defaults = {"retry": Retry(attempts=4, base=0.1), "budget": RetryBudget(share=1.0, minimum=100.0)}
    return Client("http://test", transport=ASGITransport(script), **{**defaults, **options})


@pytest.fixture
def echo(script: Any, said: Any, told_verdicts: Any) -> Any:
    """Answer each batch with its items."""
    return script(lambda seen: said(told_verdicts(seen.json), pause=0.01))


async def test_single_calls_meet_in_one_request(echo: Any) -> None:
    async with client_of(echo) as client:
        users = client.handler("users")
        assert await asyncio.gather(*map(users, range(300))) == list(range(300))
    assert [(each.method, each.path) for each in echo.seen] == [("POST", "/v1/users/batch")]


async def test_the_servers_limits_are_learnt_once(echo: Any, said: Any) -> None:
    echo.described = said({"name": "users", "limits": {"batch_items": 40, "batch_bytes": 100_000}})
    async with client_of(echo) as client:
        users = client.handler("users")
        assert await users.many(range(100)) == list(range(100))
        assert (await users.describe()).limits.batch_items == 40
    assert [len(each.json) for each in echo.seen] == [40, 40, 20]


async def test_a_description_that_does_not_come_holds_nobody_up_for_long(echo: Any, said: Any) -> None:
    echo.described = said({}, pause=1000.0)
    async with client_of(echo, timeout=8.0) as client:
        assert await client.handler("users")(1) == 1
        assert asyncio.get_running_loop().time() < 6.0


async def test_a_batch_that_is_too_large_is_split_and_the_limit_is_kept(
    script: Any, said: Any, told_verdicts: Any, told_problem: Any
) -> None:
    def answer(seen: Any) -> Any:
        if len(seen.json) > 3:
            return said(told_problem("too_many_items", limit_items=3), 413)
        return said(told_verdicts(seen.json))

    server = script(answer)
    async with client_of(server) as client:
        users = client.handler("users")
        assert await users.many(range(8)) == list(range(8))
        assert await users.many(range(6)) == list(range(6))
    assert [len(each.json) for each in server.seen] == [8, 3, 3, 2, 3, 3]


async def test_a_batch_is_halved_where_the_limit_is_not_told(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    def answer(seen: Any) -> Any:
        return (
            said(b"<html>", 413, {"content-type": "text/html"})
            if 5 in seen.json
            else said(told_verdicts(seen.json))
        )

    server = script(answer)
    async with client_of(server) as client:
        outcomes = await client.handler("users").outcomes(range(8))
    assert [outcome.ok for outcome in outcomes] == [True] * 5 + [False] + [True] * 2
    assert isinstance(outcomes[5], Failed)
    assert isinstance(outcomes[5].error, RequestRefused)


async def test_a_limit_that_is_not_told_is_kept_all_the_same(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    """As of a proxy, which counts bytes and answers with a page."""

    def answer(seen: Any) -> Any:
        return said(b"<html>", 413) if len(seen.body) > 3000 else said(told_verdicts(seen.json))

    server = script(answer)
    async with client_of(server) as client:
        users = client.handler("users", concurrency=1)
        assert await users.many(["x" * 10] * 1000) == ["x" * 10] * 1000
        before = len(server.seen)
        assert await users.many(["x" * 10] * 1000) == ["x" * 10] * 1000
    assert all(len(seen.body) <= 3000 for seen in server.seen[before:])


async def test_one_item_that_is_too_large_alone_makes_no_limit(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    def answer(seen: Any) -> Any:
        return said(b"<html>", 413) if len(seen.body) > 3000 else said(told_verdicts(seen.json))

    server = script(answer)
    async with client_of(server) as client:
        users = client.handler("users")
        outcomes = await users.outcomes(["a", "b", "x" * 5000, "c"])
        assert [outcome.ok for outcome in outcomes] == [True, True, False, True]
        before = len(server.seen)
        await users.many(["x"] * 500)
    assert len(server.seen) == before + 1


async def test_a_server_that_was_away_at_first_is_asked_for_its_limits_again(echo: Any, said: Any) -> None:
    echo.described = said(b"", 503)
    async with client_of(echo) as client:
        users = client.handler("users")
        assert await users.many(range(100)) == list(range(100))
        echo.described = said({"name": "users", "limits": {"batch_items": 40, "held_seconds": 60}})
        await asyncio.sleep(15.0)
        await users(1)
        await asyncio.sleep(1.0)
        before = len(echo.seen)
        assert await users.many(range(100)) == list(range(100))
    assert [len(each.json) for each in echo.seen[before:]] == [40, 40, 20]


async def test_only_the_items_that_failed_are_sent_again(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    def first(seen: Any) -> Any:
        full = {"code": "queue_full", "retryable": True}
        return said(told_verdicts(seen.json, _1=full, _3=full, _4={"code": "bad"}))

    server = script(in_turn(first, lambda seen: said(told_verdicts(seen.json))))
    async with client_of(server) as client:
        with pytest.raises(ManyFailed) as caught:
            await client.handler("users").many("abcdef")
    assert caught.value.values == ["a", "b", "c", "d", None, "f"]
    assert [type(error) for error in caught.value.errors.values()] == [ItemFailed]
    assert [each.json for each in server.seen] == [list("abcdef"), list("bd")]


async def test_neighbours_do_not_wait_for_the_items_that_are_sent_again(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    def answer(seen: Any) -> Any:
        full = {"code": "busy", "retryable": True}
        return said(told_verdicts(seen.json, **{f"_{seen.json.index('b')}": full}))

    async with client_of(
        script(answer), retry=Retry(attempts=3, base=50.0, cap=50.0), timeout=None
    ) as client:
        users = client.handler("users")
        bad, good = users("b"), users("a")
        assert await good == "a"
        assert asyncio.get_running_loop().time() < 1.0
        assert not bad.done()
        bad.cancel()


async def test_a_server_that_is_full_for_some_items_is_given_the_time_it_asks_for(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    full = {"code": "queue_full", "retryable": True, "retry_after_s": 9}
    server = script(
        in_turn(
            lambda seen: said(told_verdicts(seen.json, _0=full)), lambda seen: said(told_verdicts(seen.json))
        )
    )
    async with client_of(server) as client:
        assert await client.handler("users")("a") == "a"
    assert server.seen[1].at >= 9.0


async def test_items_that_stay_full_fail_as_in_the_servers_own_process(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    full = {"code": "queue_full", "retryable": True}
    server = script(lambda seen: said(told_verdicts(seen.json, _0=full)))
    async with client_of(server) as client:
        with pytest.raises(QueueFull):
            await client.handler("users")("a")
    assert len(server.seen) == 4


async def test_the_tries_of_a_list_end_with_its_time(script: Any, said: Any, told_verdicts: Any) -> None:
    busy = {"code": "busy", "retryable": True}
    server = script(lambda seen: said(told_verdicts(seen.json, _0=busy)))
    async with client_of(server, retry=Retry(attempts=1000, base=0.5, cap=0.5), timeout=5.0) as client:
        found = await client.handler("users").many(["a", "b"], return_exceptions=True)
    assert isinstance(found[0], ItemFailed)  # why it failed last is more than that its time was up
    assert found[0].code == "busy"
    assert found[1] == "b"
    assert 4.0 < asyncio.get_running_loop().time() <= 5.0
    assert len(server.seen) > 10


@pytest.mark.parametrize("wait", [None, 8])
async def test_a_try_for_which_there_is_no_time_is_not_waited_for(
    script: Any, said: Any, told_verdicts: Any, wait: int | None
) -> None:
    full = {"code": "queue_full", "retryable": True, **({"retry_after_s": wait} if wait else {})}
    server = script(lambda seen: said(told_verdicts(seen.json, _0=full)))
    slow = Retry(attempts=9, base=60.0, cap=60.0) if wait is None else Retry(attempts=9, base=0.1)
    for _ in range(2):
        async with client_of(server, retry=slow, timeout=5.0) as client:
            found = await client.handler("users").many(["a"], return_exceptions=True)
        assert isinstance(found[0], QueueFull)
    assert asyncio.get_running_loop().time() < 1.0
    assert len(server.seen) == 2


async def test_the_budget_bounds_the_tries_of_items_too(script: Any, said: Any, told_verdicts: Any) -> None:
    busy = {"code": "busy", "retryable": True}
    server = script(lambda seen: said(told_verdicts(seen.json, _0=busy)))
    budget = RetryBudget(share=0.1, minimum=0.0)
    async with client_of(server, retry=Retry(attempts=50, base=0.01), budget=budget) as client:
        await client.handler("users", max_size=1).outcomes(range(100))
    assert 105 <= len(server.seen) <= 115


async def test_calls_beyond_the_room_are_refused_at_once(echo: Any) -> None:
    async with client_of(echo) as client:
        users = client.handler("users", max_pending=10)
        waiting = [users(index) for index in range(10)]
        with pytest.raises(QueueFull):
            users(10)
        assert await asyncio.gather(*waiting) == list(range(10))


async def test_an_item_without_json_fails_alone_and_is_not_sent(echo: Any) -> None:
    async with client_of(echo) as client:
        found = await client.handler("users").many([1, float("nan"), 3], return_exceptions=True)
    assert found[0] == 1
    assert isinstance(found[1], ItemFailed)
    assert echo.seen[0].json == [1, 3]


async def test_a_caller_that_gives_up_takes_its_item_along(echo: Any) -> None:
    async with client_of(echo) as client:
        users = client.handler("users")
        mine, other = users("mine"), users("other")
        mine.cancel()
        assert await other == "other"
    assert echo.seen[0].json == ["other"]


# -- map


async def test_outcomes_come_in_order(echo: Any) -> None:
    async with client_of(echo) as client:
        found = [each async for each in client.handler("users").map(range(2500), batch_size=100)]
    assert found == [Ok(index) for index in range(2500)]
    assert max(len(each.json) for each in echo.seen) == 100


async def test_outcomes_come_as_they_are_ready(script: Any, said: Any, told_verdicts: Any) -> None:
    server = script(lambda seen: said(told_verdicts(seen.json), pause=10.0 if 0 in seen.json else 0.1))
    async with client_of(server) as client:
        stream = client.handler("users").map(range(30), ordered=False, batch_size=10, concurrency=3)
        found = [each async for each in stream]
    late = len(server.seen[0].json)
    assert [index for index, _ in found] == [*range(late, 30), *range(late)]
    assert all(outcome == Ok(index) for index, outcome in found)


async def test_requests_in_flight_are_bounded(script: Any, said: Any, told_verdicts: Any) -> None:
    running = most = 0

    class Counting(script):  # type: ignore[misc]  # the fixture is a class
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            nonlocal running, most
            running += scope["type"] == "http" and scope["method"] == "POST"
            most = max(most, running)
            await super().__call__(scope, receive, send)
            running -= scope["method"] == "POST"

    server = Counting(lambda seen: said(told_verdicts(seen.json), pause=1.0))
    async with client_of(server) as client:
        async for _ in client.handler("users").map(range(200), batch_size=10, concurrency=3):
            pass
    assert most == 3


async def test_a_rate_is_kept(echo: Any) -> None:
    async with client_of(echo) as client:
        async for _ in client.handler("users").map(range(1000), rate=100.0):
            pass
    assert asyncio.get_running_loop().time() == pytest.approx(10.0, abs=0.5)


async def test_the_source_is_not_read_ahead_of_the_consumer(echo: Any) -> None:
    read = 0

    def source() -> Iterator[int]:
        nonlocal read
        while True:
            read += 1
            yield read

    async with client_of(echo) as client:
        stream = client.handler("users").map(source(), batch_size=10, concurrency=2)
        for _ in range(5):
            await anext(stream)
        await asyncio.sleep(100.0)
        assert read <= 5 + 10 * 3 + 2
        await stream.aclose()


@pytest.mark.parametrize("is_async", [False, True])
async def test_leaving_the_loop_closes_the_source(echo: Any, is_async: bool) -> None:  # noqa: FBT001 - a parameter
    closed: list[bool] = []

    def plain() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.append(True)

    async def lazy() -> AsyncIterator[int]:
        try:
            for index in range(1_000_000):
                yield index
        finally:
            closed.append(True)

    async with client_of(echo) as client:
        stream = client.handler("users").map(lazy() if is_async else plain())
        await anext(stream)
        await stream.aclose()
        gc.collect()
        assert closed == [True]


async def test_what_a_source_raises_comes_after_the_outcomes_before(echo: Any) -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise LookupError("the source broke")

    async with client_of(echo) as client:
        outcomes = client.handler("users").map(source())
        assert [await anext(outcomes) for _ in range(5)] == [Ok(index) for index in range(5)]
        with pytest.raises(LookupError, match="the source broke"):
            await anext(outcomes)


async def test_a_map_leaves_the_handler_open_and_closes_with_it(echo: Any) -> None:
    client = client_of(echo)
    users = client.handler("users")
    assert [each async for each in users.map([1])] == [Ok(1)]
    assert await users(2) == 2
    await client.aclose()
    with pytest.raises(BatcherClosed):
        await users(3)


async def test_a_stream_ends_when_its_client_is_closed(echo: Any) -> None:
    client = client_of(echo)
    users = client.handler("users")
    outcomes = users.map(iter(int, 1), batch_size=10)  # without end
    assert await anext(outcomes) == Ok(0)
    await client.aclose()

    async def to_the_end() -> None:
        for _ in range(10_000):
            await anext(outcomes)

    with pytest.raises(BatcherClosed):
        await to_the_end()
    with pytest.raises(BatcherClosed):
        await anext(users.map([1]))


# -- any endpoint


async def test_calls_to_an_endpoint_of_others_meet_in_batches(script: Any, said: Any) -> None:
    server = script(lambda seen: said({"results": [item * 2 for item in seen.json["items"]]}))
    async with BatchClient(
        "http://test/double?x=1",
        encode=lambda items: {"items": items},
        decode=lambda found: found["results"],
        max_size=50,
        transport=ASGITransport(server),
    ) as double:
        assert await asyncio.gather(*map(double, range(120))) == [2 * index for index in range(120)]
    assert [(each.path, len(each.json["items"])) for each in server.seen] == [
        ("/double?x=1", 50),
        ("/double?x=1", 50),
        ("/double?x=1", 20),
    ]


async def test_requests_linger_for_company_where_they_are_told_to(script: Any, said: Any) -> None:
    server = script(lambda seen: said(seen.json))
    async with BatchClient("http://test/all", max_wait=1.0, transport=ASGITransport(server)) as all_of:
        first = all_of(1)
        await asyncio.sleep(0.5)
        assert await asyncio.gather(first, all_of(2)) == [1, 2]
    assert [each.json for each in server.seen] == [[1, 2]]
    assert server.seen[0].at == pytest.approx(1.0, abs=0.1)


async def test_an_item_that_an_endpoint_of_others_fails_for_now_is_sent_again(script: Any, said: Any) -> None:
    tries: Counter[int] = Counter()

    def answer(seen: Any) -> Any:
        tries.update(seen.json)
        return said([{"busy": item == 2 and tries[2] < 3, "is": item} for item in seen.json])

    def decode(found: Any) -> Any:
        return [Failed("busy", code="busy", retryable=True) if each["busy"] else each["is"] for each in found]

    server = script(answer)
    async with BatchClient("http://test/all", decode=decode, transport=ASGITransport(server)) as all_of:
        assert await all_of.many([1, 2, 3]) == [1, 2, 3]
    assert [each.json for each in server.seen] == [[1, 2, 3], [2], [2]]


async def test_a_body_of_another_type_says_so(script: Any, said: Any) -> None:
    server = script(lambda seen: said([int(line) for line in seen.body.splitlines()]))
    async with BatchClient(
        "http://test/all",
        encode=lambda items: "".join(f"{item}\n" for item in items).encode(),
        headers={"Content-Type": "application/x-ndjson", "X-Own": "1"},
        transport=ASGITransport(server),
    ) as all_of:
        assert await all_of.many([1, 2]) == [1, 2]
    seen = server.seen[0].headers
    assert (seen["content-type"], seen["accept"], seen["x-own"]) == (
        "application/x-ndjson",
        "application/json",
        "1",
    )


async def test_an_item_that_cannot_be_encoded_fails_alone(script: Any, said: Any) -> None:
    server = script(lambda seen: said(seen.json))
    unfit = float("nan")
    for encode in (None, lambda items: [item / 1 if item == item else 1 / 0 for item in items]):  # noqa: PLR0124 - NaN
        async with BatchClient("http://test/all", encode=encode, transport=ASGITransport(server)) as all_of:
            outcomes = await all_of.outcomes([1, 2, unfit, 4])
        assert [outcome.ok for outcome in outcomes] == [True, True, False, True]


async def test_an_encode_that_fails_is_the_answer_to_its_items(script: Any, said: Any) -> None:
    def encode(items: list[Any]) -> Any:
        raise LookupError("no such field")

    server = script(lambda seen: said(seen.json))
    async with BatchClient("http://test/all", encode=encode, transport=ASGITransport(server)) as all_of:
        with pytest.raises(ItemFailed, match="no such field"):
            await all_of(1)
    assert not server.seen
