"""The routes as a FastAPI router: FastAPI's dependencies, prefixes, documents and handlers stay in force."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
import msgspec
import pydantic
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse

from gristmill import App, BatchHandler, Failed, batch

JSON = {"content-type": "application/json"}


class Text(msgspec.Struct):
    text: str


class Vector(pydantic.BaseModel):
    values: list[float]


def embedder() -> BatchHandler[Text, Vector | Failed]:
    @batch(name="embed", max_size=10)
    async def embed(items: list[Text]) -> list[Vector | Failed]:
        """Embed a text."""
        return [Failed("empty", "not_found") if not item.text else Vector(values=[1.0]) for item in items]

    return embed


async def checked_key(authorization: Annotated[str, Header()] = "") -> None:
    if authorization != "Bearer k":
        raise HTTPException(401, "no key")


KEY = {"authorization": "Bearer k"}
Serve = Callable[[FastAPI], Any]


@asynccontextmanager
async def serving(fastapi: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=fastapi)
    async with (
        fastapi.router.lifespan_context(fastapi),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


def application(**options: Any) -> FastAPI:
    fastapi = FastAPI()
    fastapi.include_router(App(handlers=[embedder()]).router(**options), prefix="/api")
    return fastapi


async def test_all_routes_answer_below_both_prefixes() -> None:
    async with serving(application(prefix="/v2")) as client:
        single = await client.post("/api/v2/embed", json={"text": "x"})
        many = await client.post("/api/v2/embed/batch", json=[{"text": "x"}, {"text": 1}, {"text": ""}])
        lines = await client.post(
            "/api/v2/embed/stream",
            content=b'{"text":"x"}\n',
            headers={"content-type": "application/x-ndjson"},
        )
        described = await client.get("/api/v2/embed")
    assert (single.status_code, single.json()) == (200, {"values": [1.0]})
    assert single.headers["batch-size"] == "1"
    assert [item["status"] for item in many.json()["items"]] == [200, 422, 404]
    assert [json.loads(line).get("status") for line in lines.text.splitlines()] == [200, None]
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert described.json()["routes"]["batch"] == "embed/batch"


@pytest.mark.parametrize("path", ["/api/v1/embed", "/api/v1/embed/batch", "/api/v1/embed/stream"])
async def test_dependencies_of_the_router_guard_every_route(path: str) -> None:
    async with serving(application(dependencies=[Depends(checked_key)])) as client:
        refused = await client.post(path, content=b"not read", headers=JSON)
        let_in = await client.post("/api/v1/embed", json={"text": "x"}, headers=KEY)
        hidden = await client.get("/api/v1/embed")
    assert (refused.status_code, refused.json()) == (401, {"detail": "no key"})
    assert let_in.status_code == 200
    assert hidden.status_code == 401


async def test_dependencies_of_the_application_guard_every_route() -> None:
    fastapi = FastAPI(dependencies=[Depends(checked_key)])
    fastapi.include_router(App(handlers=[embedder()]).router())
    async with serving(fastapi) as client:
        assert (await client.post("/v1/embed", json={"text": "x"})).status_code == 401
        assert (await client.post("/v1/embed", json={"text": "x"}, headers=KEY)).status_code == 200


async def test_the_routes_are_in_the_documents_with_their_schemas() -> None:
    async with serving(application(tags=["vectors"])) as client:
        document = (await client.get("/openapi.json")).json()
    paths = document["paths"]
    assert {"/api/v1/embed", "/api/v1/embed/batch", "/api/v1/embed/stream"} <= paths.keys()
    single = paths["/api/v1/embed"]["post"]
    assert single["tags"] == ["vectors"]
    assert (
        single["requestBody"]["content"]["application/json"]["schema"]["properties"]["text"]["type"]
        == "string"
    )
    result = single["responses"]["200"]["content"]["application/json"]["schema"]
    assert result["properties"]["values"]["type"] == "array"
    assert paths["/api/v1/embed"]["get"]["summary"]
    operations = [one["operationId"] for path in paths.values() for one in path.values()]
    assert len(set(operations)) == len(operations)


async def test_problems_stay_ours_and_handlers_of_the_application_stay_its_own() -> None:
    fastapi = application()
    seen: list[str] = []

    @fastapi.exception_handler(HTTPException)
    async def own(request: Request, error: HTTPException) -> JSONResponse:
        seen.append(request.url.path)
        return JSONResponse({"own": error.detail}, error.status_code)

    @fastapi.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "short and stout")

    async with serving(fastapi) as client:
        malformed = await client.post("/api/v1/embed", content=b"{", headers=JSON)
        failed = await client.post("/api/v1/embed", json={"text": ""})
        others = await client.get("/teapot")
    assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed_json")
    assert (failed.status_code, failed.json()["code"]) == (404, "not_found")
    assert malformed.headers["content-type"] == "application/problem+json"
    assert others.json() == {"own": "short and stout"}
    assert seen == ["/teapot"]


async def test_the_lifespan_of_the_application_closes_the_handlers() -> None:
    handler = embedder()
    fastapi = FastAPI()
    fastapi.include_router(App(handlers=[handler]).router())
    async with serving(fastapi) as client:
        assert (await client.post("/v1/embed", json={"text": "x"})).status_code == 200
    transport = httpx2.ASGITransport(app=fastapi)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        refused = await client.post("/v1/embed", json={"text": "x"})
    assert (refused.status_code, refused.json()["code"]) == (503, "closed")
    assert refused.headers["connection"] == "close"
    assert int(refused.headers["retry-after"]) >= 1


async def test_a_large_body_is_refused_by_our_limit() -> None:
    async with serving(application()) as client:
        answer = await client.post("/api/v1/embed", content=b" " * ((1 << 20) + 1), headers=JSON)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 1 << 20)


def stored(**options: Any) -> FastAPI:
    fastapi = FastAPI()
    app = App(handlers=[embedder()], store="memory://")
    fastapi.include_router(app.router(**options), prefix="/api")
    return fastapi


async def test_jobs_are_made_worked_and_read_below_both_prefixes() -> None:
    async with serving(stored(prefix="/v2")) as client:
        made = await client.post("/api/v2/embed/jobs", json=[{"text": "x"}, {"text": ""}])
        assert made.status_code == 202
        assert made.headers["location"] == f"/api/v2/jobs/{made.json()['id']}"
        done = await client.get(made.headers["location"], headers={"prefer": "wait=20"})
        results = await client.get(done.json()["links"]["results"] + "?ordered=true")
        events = await client.get(done.json()["links"]["events"])
        preferred = await client.post(
            "/api/v2/embed", json={"text": "x"}, headers={"prefer": "respond-async, wait=20"}
        )
        gone = await client.delete(made.headers["location"])
    assert [json.loads(line)["status"] for line in results.text.splitlines()] == [200, 404]
    assert "event: done" in events.text
    assert preferred.headers["location"].startswith("/api/v2/jobs/")
    assert gone.status_code == 204


NOBODY = "/api/v1/jobs/job_00000000000000000000000000"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/embed/jobs"),
        ("GET", "/api/v1/jobs"),
        ("GET", NOBODY),
        ("GET", f"{NOBODY}/results"),
        ("GET", f"{NOBODY}/events"),
        ("POST", f"{NOBODY}/cancel"),
        ("DELETE", NOBODY),
        ("POST", "/api/v1/queues/embed/pause"),
        ("POST", "/api/v1/dead/redrive"),
    ],
)
async def test_dependencies_guard_the_durable_queue(method: str, path: str) -> None:
    async with serving(stored(dependencies=[Depends(checked_key)])) as client:
        refused = await client.request(method, path)
        let_in = await client.request(method, path, headers=KEY)
    assert (refused.status_code, refused.json()) == (401, {"detail": "no key"})
    assert let_in.status_code != 401


async def test_the_durable_queue_is_in_the_documents() -> None:
    async with serving(stored()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert paths["/api/v1/embed/jobs"]["post"]["tags"] == ["embed"]
    job = paths["/api/v1/jobs/{job}"]
    assert job["get"]["tags"] == ["Jobs"]
    assert "counts" in job["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
    assert [each["name"] for each in job["delete"]["parameters"]] == ["job"]
