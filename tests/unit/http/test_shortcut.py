"""Items and batches on the shortcut: the bytes that go over real connections to uvicorn in this loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from gristmill import App, BatchHandler, Failed, batch
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.endpoints import BatchEndpoint, SingleEndpoint
from gristmill.http.flight import Flight
from gristmill.http.problems import Reply, Statuses
from gristmill.http.settings import HttpLimits


def handler_with(gate: asyncio.Event, seen: list[list[Any]], **options: Any) -> BatchHandler[Any, Any]:
    @batch(name="numbers", **options)
    async def halves(items: list[int]) -> list[float | Failed]:
        seen.append(list(items))
        await gate.wait()
        return [
            Failed("negative", "out_of_range") if n < 0 else object() if n == 99 else n / 2  # type: ignore[misc]
            for n in items
        ]

    return halves


@asynccontextmanager
async def serving(handler: BatchHandler[Any, Any], **options: Any) -> AsyncIterator[Service]:
    app = App(handlers=[handler], **options)
    config = uvicorn.Config(app, port=0, lifespan="off", http=app.shortcut(), log_config=None)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    service = Service(app, server)
    try:
        yield service
    finally:
        for caller in service.callers:
            caller.writer.close()
        await server.shutdown()
        await handler.aclose()


class Service:
    def __init__(self, app: App, server: uvicorn.Server) -> None:
        self.app = app
        self.server = server
        self.callers: list[Connection] = []

    async def connect(self) -> Connection:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.callers.append(Connection(*await asyncio.open_connection("127.0.0.1", port)))
        return self.callers[-1]

    @property
    def connections(self) -> list[Any]:
        return list(self.server.server_state.connections)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - turns of the loop, no time
        await asyncio.sleep(0)


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, body: object, *lines: str, to: str = "") -> None:
        text = json.dumps(body).encode()
        head = [f"POST /v1/numbers{to} HTTP/1.1", "Host: test", "Content-Type: application/json", *lines]
        self.writer.write("\r\n".join([*head, f"Content-Length: {len(text)}", "", ""]).encode() + text)

    async def receive(self) -> tuple[int, dict[str, str], Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:-2])
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, json.loads(body)

    async def is_closed(self) -> bool:
        return await self.reader.read() == b""


def opened() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


async def test_an_answer_tells_what_its_batch_cost() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        caller.send(3)
        status, headers, body = await caller.receive()
        assert (status, body) == (200, 1.5)
        assert headers["content-type"] == "application/json"
        assert headers["batch-size"] == "1"
        assert headers["server-timing"].startswith("queue;dur=")


async def test_the_callers_of_a_batch_are_told_the_same_batch_and_their_own_answers() -> None:
    gate, seen = asyncio.Event(), []
    async with serving(handler_with(gate, seen)) as service:
        callers = [await service.connect() for _ in range(5)]
        callers[0].send(0)
        await until(lambda: len(seen) == 1)
        for number, caller in enumerate(callers[1:], 1):
            caller.send(number)
        await asyncio.sleep(0)
        gate.set()
        answers = [await caller.receive() for caller in callers]
        assert [body for _, _, body in answers] == [0, 0.5, 1, 1.5, 2]
        late = {headers["batch-id"] for _, headers, _ in answers[1:]}
        assert len(late) == len(seen) - 1


async def test_a_failed_item_and_a_result_that_is_no_json_fail_alone() -> None:
    gate, seen = asyncio.Event(), []
    async with serving(handler_with(gate, seen)) as service:
        callers = [await service.connect() for _ in range(4)]
        for number, caller in zip((0, -1, 99, 8), callers, strict=True):
            caller.send(number)
        gate.set()
        answers = [await caller.receive() for caller in callers]
        codes = [body["code"] if isinstance(body, dict) else body for _, _, body in answers]
        assert codes == [0, "out_of_range", "handler_contract", 4]
        assert [status for status, _, _ in answers] == [200, 422, 500, 200]


async def test_requests_in_a_pipeline_are_answered_in_their_order() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        for number in range(20):
            caller.send(number)
        assert [(await caller.receive())[2] for _ in range(20)] == [n / 2 for n in range(20)]


async def test_an_item_whose_caller_hung_up_while_it_waited_is_not_sent() -> None:
    gate, seen = asyncio.Event(), []
    handler = handler_with(gate, seen)
    async with serving(handler) as service:
        first, second, third = [await service.connect() for _ in range(3)]
        first.send(1)
        await until(lambda: len(seen) == 1)
        second.send(2)
        third.send(3)
        await until(lambda: handler.stats().pending == 2)
        second.writer.close()
        await second.writer.wait_closed()
        await until(lambda: len(service.connections) == 2)
        gate.set()
        assert (await first.receive())[2] == 0.5
        assert (await third.receive())[2] == 1.5
        assert seen == [[1], [3]]
        assert handler.stats().items["cancelled"] == 1


async def test_a_connection_that_breaks_behind_an_item_in_a_pipeline_harms_no_neighbour() -> None:
    gate, seen = asyncio.Event(), []
    handler = handler_with(gate, seen)
    async with serving(handler) as service:
        first, broken, third = [await service.connect() for _ in range(3)]
        first.send(1)
        await until(lambda: len(seen) == 1)
        broken.send(2)
        broken.send(20)
        broken.writer.write(b"no HTTP\r\n\r\n")
        third.send(3)
        await until(lambda: len(service.connections) == 2)
        gate.set()
        assert (await first.receive())[2] == 0.5
        assert (await third.receive())[2] == 1.5
        assert seen == [[1], [3]]
        assert handler.stats().items["cancelled"] == 1


async def test_an_answer_that_nothing_can_be_written_for_harms_no_neighbour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def land(self, flight: Flight, value: Any, error: Exception | None) -> None:
            raise ConnectionError("the handle is closed")

        def write(self, endpoint: SingleEndpoint, reply: Reply, *, keep_alive: bool) -> None:
            raise ConnectionError("the handle is closed")

    handler = handler_with(opened(), [])
    endpoint = SingleEndpoint(Bench(handler, HttpLimits(), Statuses(), Drain([handler])))
    flight = Flight(Broken(), endpoint).enter(2)
    assert await handler(4) == 2
    assert flight.done()
    assert "the handle is closed" in caplog.text


async def test_a_status_that_has_no_name_is_sent_as_it_is() -> None:
    async with serving(handler_with(opened(), []), statuses={"out_of_range": 499}) as service:
        caller = await service.connect()
        caller.send(-1)
        status, _, body = await caller.receive()
        assert (status, body["status"], body["code"]) == (499, 499, "out_of_range")


async def test_a_caller_who_wants_the_connection_closed_gets_that() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        caller.send(3, "Connection: close")
        assert (await caller.receive())[2] == 1.5
        assert await caller.is_closed()


async def test_a_body_that_comes_in_pieces_takes_the_long_way() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        head = "POST /v1/numbers HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3"
        caller.writer.write(f"{head}\r\n\r\n2".encode())
        await until(lambda: service.connections and service.connections[0].cycle is not None)
        caller.writer.write(b"00")
        assert (await caller.receive())[2] == 100
        caller.send(4)
        assert (await caller.receive())[2] == 2


async def test_a_connection_is_closed_when_it_idles_and_not_while_a_request_comes() -> None:
    async with serving(handler_with(opened(), [])) as service:
        idle, busy = [await service.connect() for _ in range(2)]
        for caller in (idle, busy):
            caller.send(3)
            await caller.receive()
        busy.writer.write(b"POST /v1/numbers HTTP/1.1\r\nContent-Type: appl")
        protocols = {one.client[1]: one for one in service.connections}
        of_idle, of_busy = (protocols[one.writer.get_extra_info("sockname")[1]] for one in (idle, busy))
        await until(lambda: not of_busy.headers)
        for protocol in (of_idle, of_busy):
            protocol.timeout_keep_alive = 0  # its time is up
            protocol.timeout_keep_alive_handler()
        assert await idle.is_closed()
        busy.writer.write(b"ication/json\r\nContent-Length: 1\r\n\r\n4")
        assert (await busy.receive())[2] == 2
        assert await busy.is_closed()


async def test_a_bad_item_is_refused_and_the_next_good_one_answered() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        caller.send("x")
        status, _, body = await caller.receive()
        assert (status, body["code"]) == (422, "invalid_item")
        caller.send(4)
        assert (await caller.receive())[2] == 2


async def test_an_item_that_expired_is_answered_once_and_counted_once() -> None:
    gate, seen = asyncio.Event(), []
    handler = handler_with(gate, seen, timeout=60)
    async with serving(handler) as service:
        first, second = [await service.connect() for _ in range(2)]
        first.send(1)
        await until(lambda: len(seen) == 1)
        second.send(2)
        await until(lambda: handler.stats().pending == 1)
        batcher = handler._loops.open(asyncio.get_running_loop()).batcher  # noqa: SLF001 - time has no public face
        now = batcher.clock
        batcher.clock = lambda: now() + 61
        batcher._expire()  # noqa: SLF001 - the time of both is up at once
        batcher.clock = now
        assert (await second.receive())[2]["code"] == "deadline_exceeded"
        assert (await first.receive())[2]["code"] == "deadline_exceeded"
        second.writer.close()
        await second.writer.wait_closed()
        gate.set()
        first.send(4)
        assert (await first.receive())[2] == 2
        items = handler.stats().items
        assert (items["expired"], items["failed"], items["cancelled"], items["ok"]) == (1, 1, 0, 1)


async def test_draining_answers_who_waits_and_refuses_who_comes() -> None:
    gate, seen = asyncio.Event(), []
    async with serving(handler_with(gate, seen)) as service:
        first, second = [await service.connect() for _ in range(2)]
        first.send(1)
        await until(lambda: len(seen) == 1)
        service.app.drain()
        second.send(2)
        assert (await second.receive())[2]["code"] == "closed"
        assert await second.is_closed()
        gate.set()
        assert (await first.receive())[2] == 0.5


def results_of(answer: tuple[int, dict[str, str], Any]) -> list[Any]:
    status, headers, body = answer
    assert (status, headers["content-type"]) == (200, "application/json")
    return [entry.get("result", entry.get("error", {}).get("code")) for entry in body["items"]]


def count_the_long_way(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    paths: list[str] = []
    served = App.__call__

    async def noted(self: App, scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await served(self, scope, receive, send)

    monkeypatch.setattr(App, "__call__", noted)
    assert service.app
    return paths


async def test_a_batch_takes_the_shortcut_and_every_item_has_its_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(handler_with(opened(), [])) as service:
        long_way = count_the_long_way(service, monkeypatch)
        caller = await service.connect()
        caller.send([4, -1, "x", 99, 6], to="/batch")
        expected = [2, "out_of_range", "invalid_item", "handler_contract", 3]
        assert results_of(await caller.receive()) == expected
        assert long_way == []


@pytest.mark.parametrize(
    ("lines", "to"),
    [
        (("Prefer: return=minimal",), "/batch"),
        (("Expect: 100-continue",), "/batch"),
        ((), "/batch?x=1"),
        ((), "/stream"),
    ],
)
async def test_what_is_not_ordinary_takes_the_long_way(
    monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...], to: str
) -> None:
    async with serving(handler_with(opened(), [])) as service:
        long_way = count_the_long_way(service, monkeypatch)
        caller = await service.connect()
        caller.send([4], *lines, to=to)
        await caller.reader.readuntil(b"\r\n\r\n")
        assert long_way == ["/v1/numbers" + to.partition("?")[0]]


@pytest.mark.parametrize(
    ("body", "code"),
    [({"items": 3}, "invalid_batch"), ([1] * 3000, "too_many_items"), (None, "invalid_batch")],
)
async def test_a_batch_that_is_refused_whole_is_answered_and_the_next_one_too(body: Any, code: str) -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        caller.send(body, to="/batch")
        assert (await caller.receive())[2]["code"] == code
        caller.send([4], to="/batch")
        assert results_of(await caller.receive()) == [2]


async def test_batches_and_items_in_a_pipeline_are_answered_in_their_order() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        for number in range(10):
            caller.send([number, number], to="/batch")
            caller.send(number)
        for number in range(10):
            assert results_of(await caller.receive()) == [number / 2] * 2
            assert (await caller.receive())[2] == number / 2


async def test_a_batch_whose_caller_hung_up_while_it_waited_is_not_sent() -> None:
    gate, seen = asyncio.Event(), []
    handler = handler_with(gate, seen)
    async with serving(handler) as service:
        first, second = [await service.connect() for _ in range(2)]
        first.send([1, 2], to="/batch")
        await until(lambda: len(seen) == 1)
        second.send([3, 4], to="/batch")
        await until(lambda: handler.stats().pending == 2)
        second.writer.close()
        await second.writer.wait_closed()
        await until(lambda: handler.stats().pending == 0)
        gate.set()
        assert results_of(await first.receive()) == [0.5, 1]
        assert seen == [[1, 2]]
        assert handler.stats().items["cancelled"] == 2


async def test_a_batch_that_breaks_the_endpoint_is_answered_without_the_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Reply:
        raise SystemError("a secret")

    monkeypatch.setattr(BatchEndpoint, "_reply", broken)
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        caller.send([4], to="/batch")
        status, _, body = await caller.receive()
        assert (status, body["code"]) == (500, "internal_error")
        assert "a secret" not in str(body)
        assert "a secret" in caplog.text


async def test_a_server_that_stops_waits_for_a_batch_and_closes_its_connection() -> None:
    gate, seen = asyncio.Event(), []
    async with serving(handler_with(gate, seen)) as service:
        caller = await service.connect()
        caller.send([1], to="/batch")
        await until(lambda: len(seen) == 1)
        assert len(service.server.server_state.tasks) == 1
        service.connections[0].shutdown()
        gate.set()
        assert results_of(await caller.receive()) == [0.5]
        assert await caller.is_closed()
        assert not service.server.server_state.tasks


async def test_a_server_that_waits_no_longer_cuts_the_callers_of_batches_off() -> None:
    gate, seen = asyncio.Event(), []
    async with serving(handler_with(gate, seen)) as service:
        caller = await service.connect()
        caller.send([1], to="/batch")
        await until(lambda: len(seen) == 1)
        for task in list(service.server.server_state.tasks):
            task.cancel()
        assert await caller.is_closed()
        gate.set()


async def test_draining_refuses_batches() -> None:
    async with serving(handler_with(opened(), [])) as service:
        caller = await service.connect()
        service.app.drain()
        caller.send([2], to="/batch")
        assert (await caller.receive())[2]["code"] == "closed"
        assert await caller.is_closed()
