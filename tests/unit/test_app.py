from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.middleware.gzip import GZipMiddleware

from gristmill import App, BatchHandler, batch
from gristmill.databases import Pool
from gristmill.errors import ConfigurationError
from gristmill.http import metrics


class Text(msgspec.Struct):
    text: str


def handler(name: str = "echo", **options: Any) -> BatchHandler[Text, Text]:
    @batch(name=name, **options)
    async def echo(items: list[Text]) -> list[Text]:
        return items

    return echo


def client(app: Any, root_path: str = "") -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, root_path=root_path)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")


async def plain(items: list[Text]) -> list[Text]:
    return items


@pytest.mark.parametrize(
    ("handlers", "text"),
    [
        ([plain], "decorate it with @batch"),
        (handler(), r"App\(handlers=\[create_users\]\)"),
        ([handler(), handler()], "two handlers are named 'echo'"),
        ([handler("a/b")], "cannot stand in a path"),
        ([handler("jobs")], "reserved"),
        ([handler("queues")], "reserved"),
        ([handler("dead")], "reserved"),
    ],
)
def test_handlers_that_cannot_be_served_are_refused(handlers: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        App(handlers=handlers)


async def test_middleware_may_stand_around_it() -> None:
    async with client(GZipMiddleware(App(handlers=[handler()]), minimum_size=1)) as http:
        for _ in range(2):
            described = await http.get("/v1/echo")
            assert described.headers.get_list("content-encoding") == ["gzip"]
            assert described.json()["name"] == "echo"
        lines = {"content-type": "application/x-ndjson"}
        streamed = await http.post("/v1/echo/stream", content=b'{"text":"x"}\n', headers=lines)
        assert streamed.headers["content-encoding"] == "gzip"
        assert b'"result":{"text":"x"}' in streamed.content


@pytest.mark.parametrize("prefix", ["v1", "/v1/", "/", "/v 1", "/v1?x"])
def test_a_prefix_that_is_no_path_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        App(handlers=[handler()], prefix=prefix)


def test_a_handler_may_not_take_the_path_of_a_service_route() -> None:
    with pytest.raises(ConfigurationError, match="livez"):
        App(handlers=[handler("livez")], prefix="")


def test_an_item_type_that_is_not_json_is_refused_at_once() -> None:
    @batch(name="odd")
    async def odd(items: list[Text | bytearray | memoryview]) -> list[int]:
        return [1] * len(items)

    with pytest.raises(ConfigurationError, match="JSON"):
        App(handlers=[odd])


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/nope", "there is no handler 'nope'"),
        ("/nope/jobs", "there is no handler 'nope'"),
        ("/echo/jobs", "there are no jobs: the App has no store"),
        ("/echo/batch/x", "There is nothing here"),
        ("/jobs", "There is nothing here"),
        ("/", "There is nothing here"),
    ],
)
@pytest.mark.parametrize("prefix", ["/v1", "/api/v2"])
async def test_a_handler_that_is_not_there_is_named(prefix: str, path: str, detail: str) -> None:
    async with client(App(handlers=[handler()], store=None, prefix=prefix)) as http:
        answer = await http.post(f"{prefix}{path}", json={"text": "a"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer.json()["detail"].startswith(detail)


async def test_routes_follow_the_prefix() -> None:
    async with client(App(handlers=[handler()], prefix="/a/b")) as caller:
        assert (await caller.post("/a/b/echo", json={"text": "x"})).status_code == 200
        assert (await caller.post("/v1/echo", json={"text": "x"})).status_code == 404
    async with client(App(handlers=[handler()], prefix="")) as caller:
        assert (await caller.post("/echo", json={"text": "x"})).status_code == 200


async def test_routes_are_found_below_a_mount() -> None:
    async with client(App(handlers=[handler()]), root_path="/mounted") as caller:
        assert (await caller.post("/mounted/v1/echo", json={"text": "x"})).status_code == 200
        assert (await caller.get("/mounted/v1/echo")).status_code == 200


async def test_docs_and_metrics_can_be_left_out() -> None:
    async with client(App(handlers=[handler()], docs=False, metrics=False)) as caller:
        for path in ("/docs", "/openapi.json", "/metrics", "/"):
            assert (await caller.get(path)).json()["code"] == "not_found"


async def test_metrics_show_the_pools_that_are_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with Pool(url, name="shop") as pool, client(App(handlers=[handler()], pools=[pool])) as caller:
        text = (await caller.get("/metrics")).text
    assert 'gristmill_pool_size_connections{pool="shop"} 1.0' in text
    assert 'gristmill_pool_idle_connections{pool="shop"} 0.0' in text
    async with client(App(handlers=[handler()])) as caller:
        assert "gristmill_pool" not in (await caller.get("/metrics")).text


def test_pools_of_one_name_are_refused(tmp_path: Path) -> None:
    pools = [Pool(f"sqlite:///{tmp_path / name}") for name in ("a", "b")]
    with pytest.raises(ConfigurationError, match="different names to be told apart: sqlite"):
        App(handlers=[handler()], pools=pools)


async def test_metrics_without_their_library_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "exposition", None)
    async with client(App(handlers=[handler()])) as caller:
        answer = await caller.get("/metrics")
    assert answer.status_code == 404
    assert "gristmill[telemetry]" in answer.json()["detail"]


async def test_a_draining_service_says_so_everywhere() -> None:
    app = App(handlers=[handler()])
    async with client(app) as caller:
        assert (await caller.get("/readyz")).status_code == 200
        app.drain()
        ready = await caller.get("/readyz")
        answers = [
            await caller.post(f"/v1/echo{route}", json={"text": "x"}) for route in ("", "/batch", "/stream")
        ]
        alive = await caller.get("/livez")
    assert (ready.status_code, ready.json()["checks"]["draining"]) == (503, {"ok": False})
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "closed")] * 3
    assert all(one.headers["connection"] == "close" for one in answers)
    assert alive.status_code == 200


async def test_readiness_ends_above_the_high_water_mark() -> None:
    full = handler(max_pending=10, max_wait=60.0)
    async with client(App(handlers=[full])) as caller:
        waiting = [full(Text("x")) for _ in range(9)]
        assert (await caller.get("/readyz")).status_code == 200
        waiting.append(full(Text("x")))
        answer = await caller.get("/readyz")
        await full.aclose()
        await asyncio.gather(*waiting)
    assert answer.json()["checks"]["queue_below_high_water"] == {"ok": False, "handlers": ["echo"]}
    assert answer.status_code == 503


async def test_a_bug_of_ours_is_a_problem_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    def broken(item: Text) -> float:
        raise ZeroDivisionError(f"hunter2 {item}")

    async with client(App(handlers=[handler(max_weight=5, weigh=broken)])) as caller:
        single = await caller.post("/v1/echo", json={"text": "x"})
        many = await caller.post("/v1/echo/batch", json=[{"text": "x"}])
    (item,) = many.json()["items"]
    assert (single.status_code, many.status_code, item["status"]) == (500, 200, 500)
    for answer, problem in ((single, single.json()), (many, item["error"])):
        assert "hunter2" not in answer.text
        assert problem["instance"] in caplog.text
