"""One request until it is answered: retries, waits, deadlines, keys."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from gristmill import BatchClient, Client, Retry, RetryBudget
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import (
    AnswerLost,
    BatcherClosed,
    DeadlineExceeded,
    ManyFailed,
    QueueFull,
    RequestRefused,
    UnusableAnswer,
)

pytestmark = pytest.mark.looptime

QUICK = Retry(attempts=4, base=0.1, cap=1.0)
PLENTY = RetryBudget(share=1.0, minimum=100.0)


def client_of(script: Any, **options: Any) -> Client:
    defaults = {"retry": QUICK, "budget": PLENTY}
    return Client("http://test", transport=ASGITransport(script), **{**defaults, **options})


def echoed(told_verdicts: Any, said: Any) -> Any:
    return lambda seen: said(told_verdicts(seen.json))


@pytest.mark.parametrize("status", [429, 503])
async def test_a_refused_request_is_sent_again(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any, status: int
) -> None:
    server = script(in_turn(said(b"", status), said(b"", status), echoed(told_verdicts, said)))
    async with client_of(server) as client:
        assert await client.handler("users").many([1, 2]) == [1, 2]
    assert len(server.seen) == 3


async def test_retry_after_is_waited_for_by_all_requests(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    refusal = said(b"", 503, {"retry-after": "7"})
    server = script(in_turn(refusal, echoed(told_verdicts, said)))
    async with client_of(server) as client:
        first, second = client.handler("users"), client.handler("others")
        one = first(1)
        await asyncio.sleep(0.1)
        assert await asyncio.gather(one, second(2)) == [1, 2]
    assert [each.at >= 7.0 for each in server.seen] == [False, True, True]
    assert server.seen[-1].at < 7.8


async def test_a_wait_beyond_the_deadline_is_not_begun(script: Any, said: Any, told_problem: Any) -> None:
    body = told_problem("queue_full", retryable=True, retry_after_s=60)
    server = script(lambda _: said(body, 503, {"retry-after": "60"}))
    async with client_of(server, timeout=10.0) as client:
        with pytest.raises(QueueFull):
            await client.handler("users")(1)
    assert asyncio.get_running_loop().time() < 1.0
    assert len(server.seen) == 1


async def test_a_wait_without_measure_is_not_held_for_ever(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    server = script(in_turn(said(b"", 503, {"retry-after": "99999999"}), echoed(told_verdicts, said)))
    async with client_of(server) as client:
        users = client.handler("users")
        with pytest.raises(RequestRefused):
            await users(1)
        with pytest.raises(RequestRefused) as caught:
            await users(2)
        assert caught.value.code == "rate_limited"
        await asyncio.sleep(140.0)
        assert await users(3) == 3
    assert len(server.seen) == 2


async def test_a_quota_that_is_used_up_is_waited_for_before_it_is_refused(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    server = script(lambda seen: said(told_verdicts(seen.json), 200, {"ratelimit": '"items";r=0;t=5'}))
    async with client_of(server) as client:
        users = client.handler("users")
        await users(1)
        await users(2)
    assert server.seen[1].at >= 5.0


async def test_the_budget_bounds_retries(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 503))
    budget = RetryBudget(share=0.1, minimum=0.0)
    async with client_of(server, budget=budget, retry=Retry(attempts=50, base=0.001)) as client:
        users = client.handler("users", max_size=1, concurrency=1)
        outcomes = await users.outcomes(range(100))
    assert not any(outcome.ok for outcome in outcomes)
    assert 100 <= len(server.seen) <= 111


async def test_every_answer_comes_before_the_deadline(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 503))
    patient = Retry(attempts=1000, base=1.0, cap=5.0)
    async with client_of(server, timeout=10.0, retry=patient) as client:
        one, many = client.handler("users")(1), client.handler("others").outcomes([1, 2])
        found = await asyncio.gather(one, many, return_exceptions=True)
        assert asyncio.get_running_loop().time() <= 10.01
    assert isinstance(found[0], RequestRefused | DeadlineExceeded)
    assert [outcome.ok for outcome in found[1]] == [False, False]


async def test_a_slow_answer_is_not_waited_for_and_not_asked_for_again(script: Any, said: Any) -> None:
    server = script(lambda _: said({}, pause=100.0))
    async with client_of(server, timeout=3.0) as client:
        users = client.handler("users", idempotent=True)
        with pytest.raises(DeadlineExceeded):
            await users(1)
        with pytest.raises(ManyFailed) as caught:
            await users.many([1, 2])
        assert all(isinstance(error, DeadlineExceeded) for error in caught.value.errors.values())
        assert asyncio.get_running_loop().time() == pytest.approx(6.0, abs=0.1)
    assert len(server.seen) == 2


async def test_a_lost_answer_is_not_asked_for_again(script: Any, said: Any) -> None:
    server = script(lambda _: said(broken=True))
    async with client_of(server) as client:
        with pytest.raises(AnswerLost):
            await client.handler("users")(1)
    assert len(server.seen) == 1


async def test_a_lost_answer_is_asked_for_again_if_the_handler_may_see_an_item_twice(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    half = said(b'{"items":[{"index":0', broken=True)
    server = script(in_turn(said(broken=True), half, echoed(told_verdicts, said)))
    async with client_of(server) as client:
        assert await client.handler("users", idempotent=True)(1) == 1
    assert len(server.seen) == 3


async def test_a_keyed_endpoint_sees_the_same_key_and_body_again(
    script: Any, said: Any, in_turn: Any
) -> None:
    server = script(in_turn(said(broken=True), said([2]), said([4])))
    async with BatchClient(
        "http://test/double", keyed=True, transport=ASGITransport(server), retry=QUICK
    ) as double:
        assert await double(1) == 2
        assert await double(2) == 4
    first, again, other = server.seen
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert first.body == again.body
    assert other.headers["idempotency-key"] != first.headers["idempotency-key"]


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_redirect_is_not_followed(script: Any, said: Any, status: int) -> None:
    server = script(lambda _: said(b"", status, {"location": "http://elsewhere/"}))
    async with client_of(server) as client:
        with pytest.raises(UnusableAnswer, match="http://elsewhere/"):
            await client.handler("users", idempotent=True)(1)
    assert len(server.seen) == 1


async def test_a_refusal_for_good_is_not_repeated(script: Any, said: Any, told_problem: Any) -> None:
    server = script(lambda _: said(told_problem("unauthorized"), 401))
    async with client_of(server) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.handler("users")(1)
    assert (caught.value.status, caught.value.code) == (401, "unauthorized")
    assert len(server.seen) == 1


async def test_a_closed_client_answers_at_once(script: Any, said: Any) -> None:
    server = script(lambda _: said({}, pause=100.0))
    client = client_of(server)
    users = client.handler("users")
    waiting = users(1)
    await asyncio.sleep(1.0)
    await client.aclose(drain=False)
    with pytest.raises(BatcherClosed):
        await waiting
    with pytest.raises(BatcherClosed):
        await users(2)
    assert asyncio.get_running_loop().time() < 5.0


async def test_headers_of_the_client_are_those_of_every_request(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    server = script(echoed(told_verdicts, said))
    async with client_of(server, headers={"authorization": "Bearer k"}) as client:
        await client.handler("users")(1)
    assert server.seen[0].headers["authorization"] == "Bearer k"


def described(said: Any) -> Any:
    return said({"name": "users", "limits": {"held_seconds": 300.0}})


async def test_a_lost_answer_is_asked_for_under_its_key_and_waited_for_while_it_is_made(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any, told_problem: Any
) -> None:
    flying = said(told_problem("idempotency_in_flight", retryable=True, retry_after_s=1), 409)
    last = echoed(told_verdicts, said)
    server = script(in_turn(said(b"", broken=True), *[flying] * 9, last))
    server.described = described(said)
    async with client_of(server) as client:
        assert await client.handler("users")(7) == 7
    first, *repeats = [each.headers for each in server.seen if each.method == "POST"]
    assert {each["idempotency-key"] for each in repeats} == {first["idempotency-key"]}
    assert "idempotency-repeat" not in first
    assert [each["idempotency-repeat"] for each in repeats] == ["true"] * 10


async def test_a_repeat_in_flight_keeps_to_the_deadline(
    script: Any, said: Any, in_turn: Any, told_problem: Any
) -> None:
    flying = said(told_problem("idempotency_in_flight", retryable=True, retry_after_s=1), 409)
    server = script(in_turn(said(b"", broken=True), *[flying] * 9))
    server.described = described(said)
    async with client_of(server, timeout=4.0) as client:
        with pytest.raises(AnswerLost):
            await client.handler("users")(7)
    assert asyncio.get_running_loop().time() <= 4.0


async def test_what_may_have_been_done_stays_so_whatever_the_repeats_meet(
    script: Any, said: Any, in_turn: Any
) -> None:
    server = script(in_turn(said(b"", broken=True), *[said(b"", 503)] * 3))
    server.described = described(said)
    async with client_of(server) as client:
        with pytest.raises(AnswerLost):
            await client.handler("users")(7)
    assert len([each for each in server.seen if each.method == "POST"]) == 4


async def test_a_lost_answer_stays_lost_where_the_server_keeps_none(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", broken=True))
    async with client_of(server) as client:
        with pytest.raises(AnswerLost):
            await client.handler("users")(7)
    assert len(server.seen) == 1
    assert "idempotency-key" in server.seen[0].headers


async def test_a_handler_that_may_see_items_twice_gets_repeats_that_say_nothing(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    server = script(in_turn(said(b"", broken=True), echoed(told_verdicts, said)))
    server.described = described(said)
    async with client_of(server) as client:
        assert await client.handler("users", idempotent=True)(7) == 7
    sent = [each.headers for each in server.seen if each.method == "POST"]
    assert len({each["idempotency-key"] for each in sent}) == 1
    assert not any("idempotency-repeat" in each for each in sent)


async def test_a_request_in_flight_is_not_asked_about_without_a_pause(
    script: Any, said: Any, told_problem: Any
) -> None:
    body = told_problem("idempotency_in_flight", retryable=True, retry_after_s=-5)
    server = script(lambda _: said(body, 409))
    async with client_of(server, timeout=5.0) as client:
        with pytest.raises(RequestRefused):
            await client.handler("users")(1)
    assert len(server.seen) <= 60


@pytest.mark.parametrize("body", [b'{"name": "\xff"}', b'{"name": "users", "limits": []}', b"[" * 100_000])
async def test_a_description_that_cannot_be_read_keeps_nobody_from_calling(
    script: Any, said: Any, told_verdicts: Any, body: bytes
) -> None:
    server = script(echoed(told_verdicts, said))
    server.described = said(body)
    async with client_of(server) as client:
        assert await client.handler("users").many([1, 2]) == [1, 2]


async def test_an_answer_that_is_no_utf8_is_told_as_unusable(script: Any, said: Any) -> None:
    server = script(lambda _: said(b'{"items":[{"index":0,"status":422,"error":{"code":"\xff"}}]}'))
    async with client_of(server) as client:
        with pytest.raises(UnusableAnswer):
            await client.handler("users")(1)


@pytest.mark.parametrize("told", [{}, {"content-length": "9" * 30}, {"content-length": "70000"}])
async def test_an_answer_without_end_is_not_held(
    script: Any, said: Any, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gristmill.client.sending.LARGEST_ANSWER", 60_000)
    server = script(lambda _: said(b" " * 70_000, 200, told))
    async with client_of(server) as client:
        with pytest.raises(UnusableAnswer, match="send less at once"):
            await client.handler("users")(1)
    assert len(server.seen) == 1


async def test_an_answer_whose_length_is_not_told_is_read_to_its_end(
    script: Any, said: Any, told_verdicts: Any
) -> None:
    server = script(echoed(told_verdicts, said))
    async with client_of(server) as client:
        assert await client.handler("users")("x" * 300_000) == "x" * 300_000


async def test_a_request_that_nobody_waits_for_is_not_sent_again(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 503))
    patient = Retry(attempts=1000, base=60.0, cap=60.0)
    client = client_of(server, timeout=1000.0, retry=patient)
    users = client.handler("users")
    one, some = users(1), asyncio.ensure_future(users.many([2, 3]))
    await asyncio.sleep(0.1)
    sent = len(server.seen)
    assert sent
    one.cancel()
    some.cancel()
    await client.aclose()
    assert asyncio.get_running_loop().time() < 2.0
    assert len(server.seen) == sent


async def test_a_request_that_one_caller_waits_for_is_sent_again(
    script: Any, said: Any, in_turn: Any, told_verdicts: Any
) -> None:
    server = script(in_turn(said(b"", 503), echoed(told_verdicts, said)))
    async with client_of(server) as client:
        users = client.handler("users")
        gone, one = users(1), users(2)
        await asyncio.sleep(0.01)
        gone.cancel()
        assert await one == 2
    assert [each.json for each in server.seen] == [[1, 2], [1, 2]]


async def test_a_wait_for_a_full_server_ends_with_its_callers(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 503, {"retry-after": "100"}))
    client = client_of(server, timeout=1000.0)
    one = client.handler("users")(1)
    other = client.handler("others")(2)
    await asyncio.sleep(0.1)
    one.cancel()
    other.cancel()
    await client.aclose()
    assert asyncio.get_running_loop().time() < 2.0


async def test_parts_that_nobody_waits_for_are_not_sent(script: Any, said: Any, told_verdicts: Any) -> None:
    server = script(lambda seen: said(told_verdicts(seen.json), pause=1.0))
    server.described = said({"name": "users", "limits": {"batch_items": 2}})
    async with client_of(server) as client:
        many = asyncio.ensure_future(client.handler("users").many(range(10)))
        await asyncio.sleep(0.5)
        many.cancel()
    assert len(server.seen) == 1


async def test_a_description_may_take_as_long_as_the_client_waits(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 404))
    server.described = said({"name": "users", "limits": {"batch_items": 40}}, pause=20.0)
    async with client_of(server, timeout=30.0) as client:
        assert (await client.handler("users").describe()).limits.batch_items == 40
    async with client_of(server, timeout=10.0) as client:
        with pytest.raises(DeadlineExceeded):
            await client.handler("users").describe()
    assert asyncio.get_running_loop().time() < 35.0


class Quotas:
    """A server with a quota of requests in each window of some seconds."""

    def __init__(self, said: Any, answer: Any, quota: int, window: int, pause: float) -> None:
        self.refused = 0
        self._said = said
        self._answer = answer
        self._quota = quota
        self._window = window
        self._pause = pause
        self._counts: dict[int, int] = {}

    def __call__(self, seen: Any) -> Any:
        number, into = divmod(seen.at, self._window)
        count = self._counts[int(number)] = self._counts.get(int(number), 0) + 1
        left, reset = max(0, self._quota - count), math.ceil(self._window - into)
        headers = {"ratelimit": f'"requests";r={left};t={reset}, "day";r=100000;t=9000'}
        if count > self._quota:
            self.refused += 1
            return self._said(b"", 429, headers)
        return self._said(self._answer(seen.json), 200, headers, pause=self._pause * (1 + count % 3))


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_requests_keep_to_what_the_server_says_is_left(
    script: Any, said: Any, told_verdicts: Any, pause: float
) -> None:
    quotas = Quotas(said, told_verdicts, 10, 5, pause)
    async with client_of(script(quotas), timeout=100.0) as client:
        users = client.handler("users", max_size=1)
        assert await users.many(range(45)) == list(range(45))
    assert quotas.refused == 0
    assert asyncio.get_running_loop().time() < 30.0
