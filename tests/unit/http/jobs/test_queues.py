from __future__ import annotations

from typing import Any

import pytest


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_paused_queue_takes_nothing_until_it_is_resumed(desk: Any) -> None:
    assert (await desk.client.post("/v1/queues/echo/pause")).status_code == 204
    made = await desk.make([{"text": "a"}])
    (queue,) = (await desk.client.get("/v1/queues")).json()["queues"]
    assert (queue["handler"], queue["is_paused"], queue["ready"]) == ("echo", True, 1)
    assert (await desk.client.post("/v1/queues/echo/resume")).status_code == 204
    done = await desk.client.get(made.headers["location"], headers={"prefer": "wait=10"})
    assert done.json()["state"] == "completed"


@pytest.mark.parametrize("name", ["other", "%00", "%ED%A0%80"])
@pytest.mark.parametrize("what", ["pause", "resume"])
async def test_a_queue_of_no_handler_is_not_found(desk: Any, what: str, name: str) -> None:
    assert code(await desk.client.post(f"/v1/queues/{name}/{what}")) == (404, "not_found")


async def test_the_breaker_of_a_queue_is_on_metrics(desk: Any) -> None:
    await desk.make([{"text": "a"}], prefer="wait=10")
    shown = (await desk.client.get("/metrics")).text
    assert 'gristmill_queue_breaker_open{queue="echo"} 0.0' in shown
    assert 'gristmill_queue_breaker_openings_total{queue="echo"} 0.0' in shown


async def test_dead_items_are_shown_and_run_again(desk: Any) -> None:
    made = await desk.make([{"text": "bad"}] * 3, prefer="wait=10")
    (group,) = (await desk.client.get("/v1/dead?handler=echo&code=not_found")).json()["dead"]
    assert (group["handler"], group["code"], group["items"]) == ("echo", "not_found", 3)
    assert group["first_at"] <= group["last_at"]
    assert "error" not in group
    none = await desk.client.post("/v1/dead/redrive", json={"code": "other"})
    assert (none.status_code, none.json()) == (202, {"redriven": 0})
    early = await desk.client.post("/v1/dead/redrive", json={"before": "2020-01-01T00:00:00Z"})
    assert early.json() == {"redriven": 0}
    desk.gate.clear()
    every = await desk.client.post("/v1/dead/redrive", json={"job": made.json()["id"], "before": 1e10})
    assert every.json() == {"redriven": 3}
    assert (await desk.client.get("/v1/dead")).json() == {"dead": []}


async def test_every_dead_item_runs_again_only_where_the_body_says_all(desk: Any) -> None:
    await desk.make([{"text": "bad"}] * 3, prefer="wait=10")
    empty = await desk.client.post("/v1/dead/redrive")
    assert code(empty) == (422, "invalid_option")
    assert empty.json()["detail"] == "all is true, where none of handler, job, code and before is given"
    assert code(await desk.client.post("/v1/dead/redrive", json={"all": False})) == (422, "invalid_option")
    both = await desk.client.post("/v1/dead/redrive", json={"all": True, "code": "not_found"})
    assert both.json()["detail"] == "all is not given beside handler, job, code or before"
    assert (await desk.client.get("/v1/dead")).json()["dead"][0]["items"] == 3
    every = await desk.client.post("/v1/dead/redrive", json={"all": True})
    assert (every.status_code, every.json()) == (202, {"redriven": 3})


@pytest.mark.parametrize(
    "body",
    [{}, {"before": "soon"}, {"queue": "echo"}, {"handler": 1}, {"before": -1}, {"job": "\0"}, {"code": ""}],
)
async def test_another_filter_is_refused(desk: Any, body: dict[str, Any]) -> None:
    assert code(await desk.client.post("/v1/dead/redrive", json=body)) == (422, "invalid_option")
