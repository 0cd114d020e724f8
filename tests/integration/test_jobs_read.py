"""The routes of one job on real servers."""

from __future__ import annotations

import json
from typing import Any

import pytest


def make(server: Any, items: Any, query: str = "", handler: str = "refusing", **headers: str) -> Any:
    answer = server.post(f"/v1/{handler}/jobs{query}", items, **headers)
    assert answer.status in (200, 202)
    return answer.json()


def test_a_job_that_waits_is_read_cancelled_and_deleted(server: Any) -> None:
    job = make(server, ["a", "b", "c"], "?delay=1000")
    links = job["links"]
    early = server.request("DELETE", links["self"])
    assert (early.status, early.problem()) == (409, "job_not_final")
    assert server.get(links["unprocessed"]).body == b'"a"\n"b"\n"c"\n'
    some = server.post(links["cancel"], {"items": [1]})
    assert (some.status, some.json()["counts"]["cancelled"]) == (202, 1)
    assert server.get(links["unprocessed"]).body == b'"a"\n"c"\n'
    rest = server.post(links["cancel"])
    assert (rest.status, rest.json()["state"]) == (202, "cancelled")
    gone = server.request("DELETE", links["self"])
    assert (gone.status, gone.body) == (204, b"")
    assert server.get(links["self"]).status == 404


def test_a_job_that_stands_as_before_is_not_sent_again(server: Any) -> None:
    job = make(server, ["a"], prefer="wait=20")
    shown = server.get(job["links"]["self"])
    same = server.get(job["links"]["self"], if_none_match=shown.headers["etag"])
    assert (same.status, same.body) == (304, b"")


def test_failed_items_are_told_apart_and_run_again(server: Any) -> None:
    job = make(server, ["a", "b"], prefer="wait=20")
    lines = server.get(job["links"]["results"] + "?status=failed").body.splitlines()
    codes = [json.loads(line)["error"]["code"] for line in lines]
    assert codes == ["a", "b"]
    assert server.get(job["links"]["results"] + "?status=succeeded").body == b""
    cursor = json.loads(lines[0])["cursor"]
    assert server.get(job["links"]["results"] + f"?after={cursor}").body.splitlines() == lines[1:]
    again = server.post(job["links"]["retry"], {"only": "failed"})
    assert (again.status, again.json()["retried"]) == (202, 2)


@pytest.mark.parametrize(("path", "prefer"), [("jobs", "wait=20"), ("batch", "respond-async, wait=20")])
def test_results_carry_the_callers_ids(server: Any, path: str, prefer: str) -> None:
    items = [
        {"id": "a", "data": {"text": "x"}},
        {"id": "b", "data": {"text": 7}},
        {"id": "c"},
        {"data": {"text": "y"}},
    ]
    job = server.post(f"/v1/echo/{path}", {"items": items}, prefer=prefer)
    assert job.status == 200
    own = job.json()["links"]["results"]
    every, failed = (
        [json.loads(line) for line in server.get(own + query).body.splitlines()]
        for query in ("?ordered=true", "?status=failed")
    )
    assert [(each["status"], each.get("id")) for each in every] == [
        (200, "a"),
        (422, "b"),
        (422, "c"),
        (200, None),
    ]
    assert "id" not in every[3]
    assert [(each["index"], each["id"]) for each in failed] == [(1, "b"), (2, "c")]


def test_an_item_that_the_handler_refused_keeps_its_id(server: Any) -> None:
    items = [{"id": "x-1", "data": "a"}, {"id": "x-2", "data": "b"}]
    job = make(server, {"items": items}, prefer="wait=20")
    lines = map(json.loads, server.get(job["links"]["results"]).body.splitlines())
    assert {each["id"]: each["error"]["code"] for each in lines} == {"x-1": "a", "x-2": "b"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/..%2f..%2fetc%2fpasswd/results",
        "/v1/jobs/..%2f..%2fetc%2fpasswd",
        "/v1/jobs/%00",
        "/v1/jobs/job_0000000000000000000000000I/results",
        "/v1/jobs/job_00000000000000000000000000/events",
        "/v1/jobs/job_00000000000000000000000000%0a",
        "/v1/jobs/" + "x" * 5000,
    ],
)
def test_an_id_that_is_none_is_not_found(server: Any, path: str) -> None:
    answer = server.get(path)
    assert (answer.status, answer.problem()) == (404, "not_found")
    assert server.is_well()


def test_jobs_and_queues_are_listed(server: Any) -> None:
    job = make(server, [1], "?delay=1000", handler="anything")
    (first,) = server.get("/v1/jobs?handler=anything&state=queued&limit=1").json()["jobs"]
    assert first["id"] == job["id"]
    queues = {each["handler"]: each for each in server.get("/v1/queues").json()["queues"]}
    assert queues["anything"]["scheduled"] >= 1
    assert b'gristmill_queue_items{queue="anything",state="scheduled"}' in server.get("/metrics").body
    assert server.post("/v1/queues/anything/pause").status == 204
    assert server.post("/v1/queues/anything/resume").status == 204
    assert server.post("/v1/queues/nothing/pause").problem() == "not_found"
    assert server.post(job["links"]["cancel"]).status == 202


def test_the_other_methods_of_a_path_are_told(server: Any) -> None:
    answer = server.request("PUT", "/v1/jobs")
    assert (answer.status, answer.problem()) == (405, "method_not_allowed")
    assert server.get("/v1/echo/jobs").status == 405


def test_the_store_is_a_check_of_readiness(server: Any) -> None:
    assert server.get("/readyz").json()["checks"]["store"] == {"ok": True}
