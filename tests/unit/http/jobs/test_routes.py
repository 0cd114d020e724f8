from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gristmill.errors import StoreUnavailable

NOBODY = "job_" + "0" * 26


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_jobs_are_listed_newest_first_page_by_page(desk: Any) -> None:
    made = [(await desk.make([{"text": str(n)}], prefer="wait=5")).json()["id"] for n in range(3)]
    first = (await desk.client.get("/v1/jobs?limit=2")).json()
    rest = (await desk.client.get("/v1/jobs", params={"limit": 2, "cursor": first["cursor"]})).json()
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == made[::-1]
    assert "cursor" not in rest
    assert len((await desk.client.get("/v1/jobs?state=completed&handler=echo")).json()["jobs"]) == 3
    assert (await desk.client.get("/v1/jobs?state=running")).json()["jobs"] == []
    assert (await desk.client.get("/v1/jobs?handler=other")).json()["jobs"] == []


@pytest.mark.parametrize("query", ["state=done", "limit=0", "limit=1001", "cursor=x", "cursor=-1"])
async def test_a_list_of_something_else_is_refused(desk: Any, query: str) -> None:
    assert code(await desk.client.get(f"/v1/jobs?{query}")) == (422, "invalid_option")


@pytest.mark.parametrize("job", ["x", NOBODY, "job_" + "I" * 26, "job_" + "0" * 27, "%2e%2e", NOBODY.lower()])
@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""), ("DELETE", ""), ("GET", "/results"), ("GET", "/unprocessed"), ("GET", "/events"),
        ("POST", "/cancel"), ("POST", "/retry"),
    ],
)  # fmt: skip
async def test_a_job_that_is_not_there_is_not_found(desk: Any, method: str, tail: str, job: str) -> None:
    before = desk.store.calls
    answer = await desk.client.request(method, f"/v1/jobs/{job}{tail}")
    assert code(answer) == (404, "not_found")
    assert "there is no job" in answer.json()["detail"]
    if job != NOBODY:
        assert desk.store.calls == before


async def test_a_job_that_stands_as_before_is_not_sent_again(desk: Any) -> None:
    made = await desk.make([{"text": "a"}], prefer="wait=5")
    shown = await desk.client.get(made.headers["location"])
    assert "retry-after" not in shown.headers
    assert shown.json()["expires_at"] > shown.json()["finished_at"]
    same = await desk.client.get(made.headers["location"], headers={"if-none-match": shown.headers["etag"]})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", shown.headers["etag"])


async def test_a_job_may_be_waited_for(desk: Any) -> None:
    desk.gate.clear()
    made = await desk.make([{"text": "a"}])
    asked = asyncio.create_task(desk.client.get(made.headers["location"], headers={"prefer": "wait=30"}))
    await asyncio.sleep(0)
    desk.gate.set()
    answer = await asked
    assert (answer.json()["state"], answer.headers["preference-applied"]) == ("completed", "wait=30")


async def test_a_wait_ends_when_the_server_drains(desk: Any) -> None:
    desk.gate.clear()
    made = await desk.make([{"text": "a"}])
    asked = asyncio.create_task(desk.client.get(made.headers["location"], headers={"prefer": "wait=30"}))
    await asyncio.sleep(0)
    desk.app.drain()
    assert (await asked).json()["state"] in ("queued", "running")


async def test_what_is_not_running_is_cancelled(desk: Any) -> None:
    made = await desk.make([{"text": str(n)} for n in range(4)], "/v1/echo/jobs?delay=1000")
    cancel = made.json()["links"]["cancel"]
    some = await desk.client.post(cancel, json={"items": [1, 3]})
    assert (some.status_code, some.json()["counts"]["cancelled"]) == (202, 2)
    unprocessed = await desk.client.get(made.json()["links"]["unprocessed"])
    assert unprocessed.text == '{"text": "0"}\n{"text": "2"}\n'.replace(": ", ":")
    rest = await desk.client.post(cancel)
    assert (rest.status_code, rest.json()["state"]) == (202, "cancelled")
    results = (await desk.client.get(made.json()["links"]["results"] + "?status=cancelled")).text
    assert results.count('"code":"cancelled"') == 4


async def test_an_item_that_the_job_does_not_have_is_not_found_and_none_is_cancelled(desk: Any) -> None:
    made = await desk.make([{"text": "a"}, {"text": "b"}], "/v1/echo/jobs?delay=1000")
    answer = await desk.client.post(made.json()["links"]["cancel"], json={"items": [1, 2]})
    assert code(answer) == (404, "not_found")
    assert answer.json()["detail"] == f"{made.json()['id']} has no item 2: it has 2, the first is 0"
    assert (await desk.client.get(made.headers["location"])).json()["counts"]["cancelled"] == 0


@pytest.mark.parametrize(
    ("tail", "body", "expected"),
    [
        ("cancel", b'{"items":[-1]}', (422, "invalid_option")),
        ("cancel", b'{"items":"all"}', (422, "invalid_option")),
        ("cancel", b'{"items":null}', (422, "invalid_option")),
        ("cancel", b'{"item":[1]}', (422, "invalid_option")),
        ("cancel", b"{", (400, "malformed_json")),
        ("cancel", b"[" * 1000, (400, "too_deep")),
        ("retry", b'{"only":"succeeded"}', (422, "invalid_option")),
        ("retry", b"[]", (422, "invalid_option")),
    ],
)
async def test_a_body_that_asks_for_something_else_is_refused(
    desk: Any, tail: str, body: bytes, expected: tuple[int, str]
) -> None:
    made = await desk.make([], "/v1/echo/jobs?delay=1000")
    path = made.headers["location"] + "/" + tail
    answer = await desk.client.post(path, content=body, headers={"content-type": "application/json"})
    assert code(answer) == expected
    other = await desk.client.post(path, content=b"x", headers={"content-type": "text/plain"})
    assert code(other) == (415, "unsupported_media_type")


async def test_failed_items_run_again(desk: Any) -> None:
    made = await desk.make([{"text": "bad"}, {"text": "good"}], prefer="wait=5")
    desk.gate.clear()
    answer = await desk.client.post(made.json()["links"]["retry"], json={"only": "failed"})
    assert (answer.status_code, answer.json()["retried"], answer.json()["state"]) == (202, 1, "running")


async def test_only_a_final_job_is_deleted(desk: Any) -> None:
    made = await desk.make([{"text": "a"}], "/v1/echo/jobs?delay=1000")
    path = made.headers["location"]
    assert code(await desk.client.delete(path)) == (409, "job_not_final")
    await desk.client.post(path + "/cancel")
    gone = await desk.client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert code(await desk.client.get(path)) == (404, "not_found")


async def test_a_store_that_is_away_is_told(desk: Any) -> None:
    made = await desk.make([{"text": "a"}])
    desk.store.error = StoreUnavailable("refused")
    answer = await desk.client.get(made.headers["location"])
    assert code(answer) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
