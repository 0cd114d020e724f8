from __future__ import annotations

from typing import Any

import fastapi
import pytest

from gristmill import App, batch
from gristmill.http.jobs.paths import PATHS
from gristmill.http.jobs.submit import Way


@batch(name="echo")
async def echo(items: list[str]) -> list[str]:
    return items


def documented(app: Any) -> Any:
    import httpx2  # noqa: PLC0415 - of these tests alone

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test")


async def test_every_route_is_in_the_document() -> None:
    async with documented(App([echo], store="memory://")) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert {(path.method.lower(), f"/v1{path.path}") for path in PATHS} <= {
        (method, path) for path, item in paths.items() for method in item
    }
    submit = paths["/v1/echo/jobs"]["post"]
    assert set(submit["requestBody"]["content"]) == {
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "text/tab-separated-values",
    }
    names = {each["name"] for each in submit["parameters"]}
    assert {"path", "format", "delimiter", "quoting", "encoding", "on_duplicate"} <= names
    assert {"202", "200", "413"} <= submit["responses"].keys()


async def test_each_route_takes_the_parameters_that_are_documented() -> None:
    def queried(operation: Any) -> set[str]:
        return {each["name"] for each in operation.get("parameters", ()) if each.get("in") == "query"}

    async with documented(App([echo], store="memory://")) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    for path in PATHS:
        assert queried(paths[f"/v1{path.path}"][path.method.lower()]) == path.parameters
    assert queried(paths["/v1/echo/jobs"]["post"]) == Way.JOBS.parameters


JOB = "/v1/jobs/job_01M867VKM0RC0P73YEGXVSE973"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs"),
        ("GET", JOB),
        ("DELETE", JOB),
        ("GET", f"{JOB}/results"),
        ("GET", f"{JOB}/unprocessed"),
        ("GET", f"{JOB}/events"),
        ("POST", f"{JOB}/cancel"),
        ("POST", f"{JOB}/retry"),
        ("GET", "/v1/queues"),
        ("POST", "/v1/queues/echo/pause"),
        ("GET", "/v1/dead"),
        ("POST", "/v1/dead/redrive"),
        ("POST", "/v1/echo/jobs"),
        ("POST", "/v1/echo"),
        ("POST", "/v1/echo/batch"),
    ],
)
async def test_a_parameter_that_a_route_does_not_take_is_refused_by_name(method: str, path: str) -> None:
    app = App([echo], store="memory://")
    async with documented(app) as client:
        answer = await client.request(
            method, f"{path}?nope=1", json=["a"], headers={"prefer": "respond-async"}
        )
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_option")
    assert answer.json()["detail"].startswith("nope is no parameter of this route; there are: ")
    assert (await app.jobs.list()).jobs == ()
    await app.jobs.stop()


async def test_parameters_that_dependencies_of_another_application_read_are_let_through() -> None:
    def check(token: str) -> None:
        assert token == "t"  # noqa: S105 - of a test

    app = App([echo], store="memory://")
    api = fastapi.FastAPI()
    api.include_router(app.router(dependencies=[fastapi.Depends(check)]))
    async with documented(api) as client:
        assert (await client.get("/v1/jobs?token=t&limit=5")).status_code == 200
        assert (await client.get("/v1/jobs?token=t&limit=x")).status_code == 422
        assert (await client.post("/v1/echo/jobs?token=t", json=["a"])).status_code == 202
    await app.jobs.stop()


async def test_an_app_without_a_store_has_no_jobs() -> None:
    async with documented(App([echo], store=None)) as client:
        for method, path in (("POST", "/v1/echo/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/queues")):
            answer = await client.request(method, path, json=[])
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        ready = (await client.get("/readyz")).json()
        described = (await client.get("/v1/echo")).json()
        document = (await client.get("/openapi.json")).json()
        sync = await client.post("/v1/echo", json="a", headers={"prefer": "respond-async"})
    assert "store" not in ready["checks"]
    assert "jobs" not in described["routes"]
    assert "/v1/jobs" not in document["paths"]
    assert (sync.status_code, sync.json()) == (200, "a")


async def test_the_description_of_a_handler_names_its_jobs() -> None:
    async with documented(App([echo], store="memory://")) as client:
        found = (await client.get("/v1/echo")).json()
    assert found["routes"]["jobs"] == "echo/jobs"
    assert found["limits"]["job_items"] == 100_000


async def test_links_hold_below_a_mount() -> None:
    app = App([echo], store="memory://")

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/a b", "path": "/a b" + scope["path"]}, receive, send)

    async with documented(mounted) as client:
        made = await client.post("/v1/echo/jobs", json=["x"])
        shown = await client.get(made.headers["location"].removeprefix("/a%20b"))
    assert made.headers["location"] == f"/a%20b/v1/jobs/{made.json()['id']}"
    assert shown.json()["links"]["self"] == made.headers["location"]
