"""Whatever a server does: nothing lost, nothing done twice, an answer to everybody in time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.client.conftest import ran

from gristmill import BatchClient, Client, Ok, Retry, RetryBudget
from gristmill.errors import BatchError, UnusableAnswer

CARRIED_OUT = [
    "silent", "headless", "half", "chunks", "nonsense", "short", "turned", "noise", "slow", "drip",
]  # fmt: skip
"""Faults after which an item may have been done, and was."""
NOT_TAKEN = ["busy", "full", "small", "away"]
ALL = [*CARRIED_OUT, *NOT_TAKEN, "reset"]
LOST = ["silent", "headless", "half", "chunks", "noise", "reset"]
"""Those that may be met by asking again."""

PATIENT = Retry(attempts=50, base=0.001, cap=0.02)
PLENTY = RetryBudget(share=1.0, minimum=10_000.0)
TIMEOUT = 1.0
SLACK = 5.0
"""Seconds that a loaded machine may be late; the faults last far longer."""


def always(fault: str) -> Callable[[], str]:
    return lambda: fault


def first(fault: str, times: int = 1) -> Callable[[], str]:
    left = [fault] * times
    return lambda: left.pop() if left else "good"


def mixed(seed: int, faults: list[str], share: float) -> Callable[[], str]:
    chance = random.Random(seed)
    return lambda: chance.choice(faults) if chance.random() < share else "good"


def client_of(server: Any, transport: Any, **options: Any) -> Client:
    defaults: dict[str, Any] = {"retry": PATIENT, "budget": PLENTY, "timeout": TIMEOUT}
    return Client(server.url, transport=transport(), **{**defaults, **options})


@pytest.mark.parametrize("fault", ALL)
async def test_everybody_is_answered_in_time_and_nothing_is_done_twice(
    misbehave: Any, transport: Any, fault: str
) -> None:
    server = await misbehave(always(fault))
    began = asyncio.get_running_loop().time()
    async with client_of(server, transport) as client:
        users = client.handler("users")
        single = [users(f"single {index}") for index in range(20)]
        listed = users.outcomes([f"listed {index}" for index in range(20)])
        found = await asyncio.gather(*single, listed, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began < TIMEOUT + SLACK
    *singles, outcomes = found
    assert len(outcomes) == 20
    assert all(isinstance(each, str | BatchError) for each in singles)
    for item, answer in zip([f"single {index}" for index in range(20)], singles, strict=True):
        assert answer == item or isinstance(answer, BatchError)
    assert max(server.done.values(), default=0) <= 1


@pytest.mark.parametrize("fault", CARRIED_OUT)
async def test_what_may_have_been_done_is_not_sent_again(misbehave: Any, transport: Any, fault: str) -> None:
    server = await misbehave(always(fault))
    async with client_of(server, transport) as client:
        await client.handler("users").outcomes(range(10))
    assert set(server.sent.values()) == {1}


@pytest.mark.parametrize("fault", [*LOST, "busy", "full"])
async def test_one_fault_is_not_seen_where_asking_again_is_safe(
    misbehave: Any, transport: Any, fault: str
) -> None:
    server = await misbehave(first(fault, 3))
    async with client_of(server, transport, timeout=30.0) as client:
        users = client.handler("users", idempotent=True)
        assert await users.many(range(50)) == list(range(50))
    assert server.requests == 4


async def test_a_redirect_is_told_and_not_followed(misbehave: Any, transport: Any) -> None:
    server = await misbehave(first("away"))
    async with client_of(server, transport) as client:
        with pytest.raises(UnusableAnswer, match="/v1/elsewhere/batch"):
            await client.handler("users", idempotent=True)("a")
    assert server.requests == 1
    assert not server.done


async def test_a_server_that_takes_one_item_at_a_time_gets_one_at_a_time(
    misbehave: Any, transport: Any
) -> None:
    server = await misbehave(always("small"))
    async with client_of(server, transport, timeout=30.0) as client:
        assert await client.handler("users").many(range(16)) == list(range(16))
    assert set(server.done.values()) == {1}


async def test_a_server_that_is_not_there_is_tried_until_it_is(misbehave: Any, transport: Any) -> None:
    server = await misbehave(always("good"))
    port = server.port
    await server.stop()
    async with client_of(server, transport, timeout=30.0, retry=Retry(attempts=500, base=0.05)) as client:
        waiting = asyncio.ensure_future(client.handler("users").many(range(10)))
        await asyncio.sleep(0)
        again = await misbehave(always("good"))
        await again.stop()
        again_server = await asyncio.start_server(again._serve, "127.0.0.1", port)  # noqa: SLF001 - its own test
        try:
            assert await waiting == list(range(10))
        finally:
            again_server.close()
    assert set(again.done.values()) == {1}


@pytest.mark.parametrize("seed", range(5))
async def test_in_a_storm_nothing_is_lost_where_items_may_be_seen_twice(
    misbehave: Any, transport: Any, seed: int
) -> None:
    server = await misbehave(mixed(seed, [*LOST, "busy", "full"], 0.5))
    async with client_of(server, transport, timeout=60.0) as client:
        users = client.handler("users", idempotent=True, max_size=20)
        found = [each async for each in users.map(iter(range(1000)))]
    assert found == [Ok(index) for index in range(1000)]
    assert set(server.done) == set(range(1000))


@pytest.mark.parametrize("seed", range(5))
async def test_in_a_storm_nothing_is_done_twice_where_items_may_not(
    misbehave: Any, transport: Any, seed: int
) -> None:
    storm = [fault for fault in ALL if fault not in ("slow", "drip")]
    server = await misbehave(mixed(seed, storm, 0.3))
    async with client_of(server, transport, timeout=60.0) as client:
        users = client.handler("users", max_size=10)
        outcomes = [each async for each in users.map(iter(range(1000)))]
    assert len(outcomes) == 1000
    assert max(server.done.values()) == 1
    for index, outcome in enumerate(outcomes):
        if outcome.ok:
            assert outcome == Ok(index)
            assert server.done[index] == 1


@pytest.mark.parametrize("seed", range(5))
async def test_in_a_storm_keys_make_it_exactly_once(misbehave: Any, transport: Any, seed: int) -> None:
    server = await misbehave(mixed(seed, [*LOST, "busy", "full"], 0.5))
    async with BatchClient(
        f"{server.url}/users",
        decode=lambda found: [each["result"] for each in found["items"]],
        keyed=True,
        max_size=20,
        timeout=60.0,
        retry=PATIENT,
        budget=PLENTY,
        transport=transport(),
    ) as users:
        assert await users.many(range(1000)) == list(range(1000))
    assert set(server.done.values()) == {1}


@pytest.mark.parametrize("seed", range(5))
async def test_on_connections_that_are_cut_a_server_does_each_item_once(
    cut: Any, real_server: Any, transport: Any, seed: int
) -> None:
    before = ran(real_server)
    chance = random.Random(seed)
    proxy = await cut(lambda: chance.randrange(200, 6000) if chance.random() < 0.7 else None)
    async with client_of(proxy, transport, timeout=60.0) as client:
        calls = client.handler("anything", max_size=50)
        assert await calls.many(range(1000)) == list(range(1000))
    assert proxy.cuts > 0
    assert ran(real_server) - before == 1000


async def test_a_repeat_that_meets_another_process_is_not_run(misbehave: Any, transport: Any) -> None:
    """A server that was restarted knows no key, so the answer stays lost."""
    server = await misbehave(first("silent"))
    server.is_marked = True
    async with client_of(server, transport) as client:
        outcomes = await client.handler("users").outcomes([1, 2])
    assert [each.code for each in outcomes if not each.ok] == ["answer_lost", "answer_lost"]
    assert set(server.sent.values()) == {2}
    assert set(server.done.values()) == {1}
