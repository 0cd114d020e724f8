"""Jobs of a server that lacks what ours has, or goes away."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from gristmill import Client, Ok, Retry, RetryBudget
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import (
    BatcherClosed,
    DeadlineExceeded,
    JobNotFound,
    RequestRefused,
    StoreUnavailable,
    UnusableAnswer,
)
from gristmill.model.job import JobState

pytestmark = pytest.mark.looptime

ID = "job_01J9Z0000000000000000000A0"


def job(state: str = "running", succeeded: int = 0) -> dict[str, Any]:
    counts = {"total": 3, "queued": 3 - succeeded, "running": 0, "succeeded": succeeded}
    counts |= {"failed": 0, "cancelled": 0}
    links = dict.fromkeys(("self", "results", "unprocessed", "events", "cancel", "retry"), "")
    at = "2026-11-23T13:17:07Z"
    common = {"id": ID, "handler": "users", "priority": 4, "created_at": at, "due_at": at}
    return {**common, "state": state, "counts": counts, "links": links}


def client_of(script: Any) -> Client:
    return Client(
        "http://test",
        transport=ASGITransport(script),
        retry=Retry(attempts=3, base=0.1),
        budget=RetryBudget(minimum=100.0),
        timeout=10.0,
    )


def result(index: int) -> bytes:
    return (
        json.dumps({"index": index, "status": 200, "result": index, "cursor": f"c{index}"}).encode() + b"\n"
    )


@pytest.mark.parametrize("status", [404, 405, 406, 501])
async def test_where_there_are_no_events_the_job_is_asked_for(script: Any, said: Any, status: int) -> None:
    states = [job(), job(), job("running", 2), job("completed", 3)]

    def answer(seen: Any) -> Any:
        if seen.path.endswith("/events"):
            return said(b"no", status, {"content-type": "text/plain"})
        return said(states.pop(0))

    async with client_of(script(answer)) as client:
        found = await client.jobs.get(ID)
        seen = [(each.state, each.counts.succeeded) async for each in found.events()]
    assert seen == [("running", 0), ("running", 2), ("completed", 3)]


async def test_events_that_end_early_are_asked_for_again_with_the_last_id(script: Any, said: Any) -> None:
    def told(name: str, id: str, found: Any) -> bytes:
        return f"retry: 100\n\nevent: {name}\nid: {id}\ndata: {json.dumps(found)}\n\n".encode()

    streams = [
        said(told("progress", "v1", job()), headers={"content-type": "text/event-stream"}),
        said(told("done", "v2", job("completed", 3)), headers={"content-type": "text/event-stream"}),
    ]
    server = script(lambda seen: streams.pop(0) if seen.path.endswith("/events") else said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        assert [each.state async for each in found.events()] == ["running", "completed"]
    assert [each.headers.get("last-event-id") for each in server.seen] == [None, None, "v1"]


async def test_waiting_ends_in_time(script: Any, said: Any) -> None:
    def answer(seen: Any) -> Any:
        asked = seen.headers.get("prefer", "wait=0").partition("=")[2]
        return said(job(), pause=float(asked))

    async with client_of(script(answer)) as client:
        found = await client.jobs.get(ID)
        with pytest.raises(DeadlineExceeded, match="is running after 45 s"):
            await found.wait(45)
        assert asyncio.get_running_loop().time() == pytest.approx(45.0, abs=1.0)


async def test_a_server_that_does_not_wait_is_not_asked_all_the_time(script: Any, said: Any) -> None:
    server = script(lambda _: said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        with pytest.raises(DeadlineExceeded):
            await found.wait(30)
    assert len(server.seen) < 40


async def test_a_job_that_is_gone_is_said_to_be(script: Any, said: Any, told_problem: Any) -> None:
    gone = False
    server = script(lambda _: said(told_problem("not_found"), 404) if gone else said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        gone = True
        with pytest.raises(JobNotFound):
            await found.status()
        with pytest.raises(JobNotFound):
            await anext(found.results())
        with pytest.raises(JobNotFound):
            await anext(found.unprocessed())


async def test_results_go_on_where_the_store_went_away(script: Any, said: Any, told_problem: Any) -> None:
    def answer(seen: Any) -> Any:
        if "/results" not in seen.path:
            return said(job())
        if "after=c1" in seen.path:
            return said(result(2))
        end = json.dumps({"error": told_problem("store_unavailable", retryable=True)}).encode()
        return said(result(0) + result(1) + end)

    server = script(answer)
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        assert [each.outcome async for each in found.results()] == [Ok(0), Ok(1), Ok(2)]


async def test_ordered_results_go_on_where_they_were(script: Any, said: Any, in_turn: Any) -> None:
    answers = in_turn(said(result(0) + result(1), broken=True), said(result(2)))
    server = script(lambda seen: answers(seen) if "/results" in seen.path else said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        assert [each.index async for each in found.results(ordered=True)] == [0, 1, 2]
    path = f"/v1/jobs/{ID}/results"
    assert [each.path for each in server.seen[1:]] == [
        f"{path}?ordered=true",
        f"{path}?after=c1&ordered=true",
    ]


async def test_a_pause_beyond_the_deadline_is_not_begun(script: Any, said: Any) -> None:
    away = Retry(attempts=3, base=100_000.0, cap=100_000.0)
    server = script(lambda _: said(b"", 503))
    async with Client("http://test", transport=ASGITransport(server), retry=away, timeout=5.0) as client:
        with pytest.raises(RequestRefused):
            await client.jobs.get(ID)
    assert asyncio.get_running_loop().time() < 5.0


async def test_a_store_that_stays_away_ends_it(script: Any, said: Any, told_problem: Any) -> None:
    away = told_problem("store_unavailable", retryable=True)
    server = script(lambda seen: said(away, 503) if "/results" in seen.path else said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        with pytest.raises(StoreUnavailable):
            await anext(found.results())


@pytest.mark.parametrize("line", [b"no\n", b'{"index":"x"}\n', b"[]\n"])
async def test_a_line_that_is_none_ends_it(script: Any, said: Any, line: bytes) -> None:
    server = script(lambda seen: said(line) if "/results" in seen.path else said(job()))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        with pytest.raises(UnusableAnswer):
            await anext(found.results())


# -- enqueue


async def test_a_job_is_sent_again_under_the_same_key(script: Any, said: Any, in_turn: Any) -> None:
    server = script(in_turn(said(broken=True), said(b"", 503), said(job("queued"), 202)))
    async with client_of(server) as client:
        made = await client.handler("users").enqueue([1, 2])
    assert made.last.state is JobState.QUEUED
    assert len({each.headers["idempotency-key"] for each in server.seen}) == 1
    assert {each.body for each in server.seen} == {b"1\n2\n"}
    assert len(server.seen) == 3


async def test_a_source_that_can_be_read_once_is_sent_once(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 503))
    async with client_of(server) as client:
        with pytest.raises(RequestRefused):
            await client.handler("users").enqueue(iter([1, 2]))
    assert len(server.seen) == 1


async def test_options_are_parameters(script: Any, said: Any) -> None:
    server = script(lambda _: said(job("queued"), 202))
    async with client_of(server) as client:
        users = client.handler("users")
        await users.enqueue(
            [1], idempotency_key='a"b', priority=0, key="x y", keep_results=False, strict=True
        )
    seen = server.seen[0]
    assert seen.path == "/v1/users/jobs?priority=0&key=x+y&keep_results=false"
    assert (seen.headers["prefer"], seen.headers["idempotency-key"]) == ("handling=strict", '"a\\"b"')


async def test_an_upload_may_take_long_while_it_moves(script: Any, said: Any) -> None:
    async def slow() -> Any:
        for index in range(60):
            await asyncio.sleep(5.0)
            yield "x" * 300_000 if index % 2 else index

    server = script(lambda _: said(job("queued"), 202))
    async with client_of(server) as client:
        await client.handler("users").enqueue(slow())
    assert asyncio.get_running_loop().time() >= 300.0


async def test_an_upload_that_no_longer_moves_ends(script: Any, said: Any) -> None:
    server = script(lambda _: said(job("queued"), 202, pause=1000.0))
    async with client_of(server) as client:
        with pytest.raises(DeadlineExceeded, match="nothing moved for 10 s"):
            await client.handler("users").enqueue([1])
    assert asyncio.get_running_loop().time() < 15.0


async def test_a_job_whose_first_request_is_in_flight_is_sent_whole_again(
    script: Any, said: Any, in_turn: Any, told_problem: Any
) -> None:
    flying = said(told_problem("idempotency_in_flight", retryable=True, retry_after_s=1), 409)
    server = script(in_turn(flying, said(job(), 202)))
    async with client_of(server) as client:
        assert (await client.handler("users").enqueue([1, 2])).id == ID
    assert [each.body for each in server.seen if each.method == "POST"] == [b"1\n2\n"] * 2


async def test_a_source_that_can_be_read_once_is_not_sent_again_while_its_key_is_in_flight(
    script: Any, said: Any, told_problem: Any
) -> None:
    flying = said(told_problem("idempotency_in_flight", retryable=True, retry_after_s=1), 409)
    server = script(lambda _: flying)
    async with client_of(server) as client:
        with pytest.raises(RequestRefused):
            await client.handler("users").enqueue(iter([1, 2]))
    assert [each.body for each in server.seen if each.method == "POST"] == [b"1\n2\n"]


@pytest.mark.parametrize("line", [b'{"index": 0, "id": "\xff"}', b'{"index": 0, "more": ' + b"[" * 100_000])
async def test_a_line_that_cannot_be_read_is_told(script: Any, said: Any, line: bytes) -> None:
    def answer(seen: Any) -> Any:
        return said(job()) if seen.path.endswith(ID) else said(line, 200)

    async with client_of(script(answer)) as client:
        found = await client.jobs.get(ID)
        with pytest.raises(UnusableAnswer, match="a line of the results"):
            await anext(found.results())
        with pytest.raises(UnusableAnswer, match="a line of the unprocessed"):
            await anext(found.unprocessed())


@pytest.mark.parametrize("route", ["events", "results"])
async def test_a_stream_that_does_not_begin_is_not_waited_for_without_end(
    script: Any, said: Any, route: str
) -> None:
    """Events are asked for by polls then; results have no other way."""

    def answer(seen: Any) -> Any:
        return said(job("completed", 3), pause=0.0 if seen.path.endswith(ID) else 1_000.0)

    async with client_of(script(answer)) as client:
        found = await client.jobs.get(ID)
        began = asyncio.get_running_loop().time()
        if route == "events":
            assert [each.state async for each in found.events()] == ["completed"]
        else:
            with pytest.raises(DeadlineExceeded, match="gave no answer"):
                await anext(found.results())
        assert asyncio.get_running_loop().time() - began < 12.0


async def test_a_wait_ends_when_its_time_is_up_though_the_server_says_nothing(script: Any, said: Any) -> None:
    def answer(seen: Any) -> Any:
        return said(job(), pause=1_000.0 if "prefer" in seen.headers else 0.0)

    async with client_of(script(answer)) as client:
        found = await client.jobs.get(ID)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeadlineExceeded, match="is running after 1 s"):
            await found.wait(1)
        assert asyncio.get_running_loop().time() - began < 3.0


async def test_streams_wait_as_long_as_the_server_asks_for(script: Any, said: Any) -> None:
    refusals = [said(b"", 503, {"retry-after": "3"})] * 2

    def answer(seen: Any) -> Any:
        if seen.path.endswith(ID):
            return said(job("completed", 3))
        return refusals.pop() if refusals else said(result(0))

    server = script(answer)
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        assert [each.index async for each in found.results()] == [0]
    times = [seen.at for seen in server.seen if "results" in seen.path]
    assert [later - earlier >= 3.0 for earlier, later in itertools.pairwise(times)] == [True, True]


async def test_a_closed_client_opens_no_stream(script: Any, said: Any) -> None:
    server = script(lambda _: said(job("completed", 3)))
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
    with pytest.raises(BatcherClosed):
        await anext(found.results())
    with pytest.raises(BatcherClosed):
        await anext(found.events())
    assert len(server.seen) == 1


async def test_an_id_is_one_part_of_the_path(script: Any, said: Any) -> None:
    server = script(lambda _: said(job()))
    async with client_of(server) as client:
        await client.jobs.get("a/../b?c#d")
    assert server.seen[0].path == "/v1/jobs/a/../b?c#d"  # unquoted by the transport: it is all path


async def test_events_without_end_are_given_up_for_polls(script: Any, said: Any) -> None:
    def answer(seen: Any) -> Any:
        if seen.path.endswith("/events"):
            return said(b"data: " + b"x" * 3_000_000, 200, {"content-type": "text/event-stream"})
        return said(job("completed", 3))

    server = script(answer)
    async with client_of(server) as client:
        found = await client.jobs.get(ID)
        assert [each.state async for each in found.events()] == ["completed"]
    assert sum(seen.path.endswith("/events") for seen in server.seen) == 1


async def test_a_long_line_may_come_in_any_pieces() -> None:
    line = json.dumps({"index": 0, "status": 200, "result": "x" * 100_000, "cursor": "c"}).encode()

    class InPieces:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                raise RuntimeError("no lifespan")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            body = (
                json.dumps(job("completed", 3)).encode()
                if scope["path"].endswith(ID)
                else line + b"\n\n" + line
            )
            for start in range(0, len(body), 777):
                await send(
                    {"type": "http.response.body", "body": body[start : start + 777], "more_body": True}
                )
            await send({"type": "http.response.body", "body": b""})

    async with client_of(InPieces()) as client:
        found = await client.jobs.get(ID)
        assert [each.outcome async for each in found.results()] == [Ok("x" * 100_000)] * 2
