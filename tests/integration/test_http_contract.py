"""The rules of the HTTP contract, on real servers."""

from __future__ import annotations

import gzip
import json
import select
from typing import Any

import pytest


def entries(*texts: Any) -> dict[str, Any]:
    return {"items": [{"id": f"i{index}", "data": {"text": text}} for index, text in enumerate(texts)]}


def test_one_item_gets_its_result_and_what_batching_cost(server: Any) -> None:
    answer = server.post("/v1/echo", {"text": "x"})
    assert (answer.status, answer.json()) == (200, {"text": "x"})
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["batch-size"]) == 1
    assert answer.headers["batch-id"]
    assert answer.headers["server-timing"].startswith("queue;dur=")
    assert "handler;dur=" in answer.headers["server-timing"]


def test_a_batch_gets_a_verdict_for_each_item_in_its_order(server: Any) -> None:
    answer = server.post("/v1/echo/batch", entries("x", 7, "z"))
    reply = answer.json()
    assert answer.status == 200
    assert reply["errors"] is True
    assert reply["counts"] == {"total": 3, "succeeded": 2, "failed": 1, "unprocessed": 0}
    assert [(item["index"], item["id"], item["status"]) for item in reply["items"]] == [
        (0, "i0", 200),
        (1, "i1", 422),
        (2, "i2", 200),
    ]
    assert reply["items"][2]["result"] == {"text": "z"}
    error = reply["items"][1]["error"]
    assert (error["type"], error["code"], error["retryable"]) == (
        "/problems/invalid-item",
        "invalid_item",
        False,
    )
    assert error["errors"][0]["pointer"] == "#/items/1/data/text"


def test_a_batch_is_a_success_even_if_every_item_failed(server: Any) -> None:
    answer = server.post("/v1/echo/batch", entries(1, 2))
    assert answer.status == 200
    assert answer.json()["counts"] == {"total": 2, "succeeded": 0, "failed": 2, "unprocessed": 0}


def test_an_array_and_lines_are_batches_too(server: Any) -> None:
    lines = b'{"text":"x"}\n{"text":\n{"text":"y"}\n'
    array = server.post("/v1/echo/batch", [{"text": "x"}, {"text": "y"}]).json()
    reply = server.post("/v1/echo/batch", lines, content_type="application/x-ndjson").json()
    assert [item["status"] for item in array["items"]] == [200, 200]
    assert [item["status"] for item in reply["items"]] == [200, 400, 200]
    assert reply["items"][1]["error"]["code"] == "malformed_json"


@pytest.mark.parametrize("body", [{"items": []}, []])
def test_an_empty_batch_is_answered_with_an_empty_list(server: Any, body: object) -> None:
    reply = server.post("/v1/echo/batch", body).json()
    assert (reply["errors"], reply["items"], reply["counts"]["total"]) == (False, [], 0)


def test_strict_handling_runs_nothing_unless_all_is_valid(server: Any) -> None:
    answer = server.post("/v1/echo/batch", entries("x", 7, "z", None), prefer="handling=strict")
    assert (answer.status, answer.problem()) == (422, "invalid_item")
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "#/items/1/data/text",
        "#/items/3/data/text",
    ]
    assert answer.headers["preference-applied"] == "handling=strict"
    assert server.post("/v1/echo/batch", entries("x"), prefer="handling=strict").status == 200


def test_a_minimal_return_lists_the_failures_only(server: Any) -> None:
    answer = server.post("/v1/echo/batch", entries("x", 7), prefer="return=minimal")
    assert [item["index"] for item in answer.json()["items"]] == [1]
    assert answer.json()["counts"]["total"] == 2
    assert answer.headers["preference-applied"] == "return=minimal"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("not_found", 404),
        ("unique_violation", 409),
        ("out_of_stock", 422),
        ("try_later", 503),
        ("teapot", 418),
    ],
)
def test_a_failed_item_has_the_same_problem_alone_and_in_a_batch(server: Any, code: str, status: int) -> None:
    alone = server.post("/v1/refusing", code)
    (together,) = server.post("/v1/refusing/batch", [code]).json()["items"]
    assert (
        (alone.status, alone.problem()) == (together["status"], together["error"]["code"]) == (status, code)
    )
    assert alone.json()["detail"] == together["error"]["detail"] == f"about {code}"


def test_pydantic_models_go_both_ways(server: Any) -> None:
    assert server.post("/v1/models", {"text": "x"}).json() == {"text": "x", "weight": 1.0}
    refused = server.post("/v1/models", {"text": 7})
    assert (refused.status, refused.json()["errors"][0]["pointer"]) == (422, "#/text")
    assert server.post("/v1/models", {"text": "missing"}).status == 404


def test_gzip_bodies_are_taken(server: Any) -> None:
    packed = gzip.compress(json.dumps(entries(*["x"] * 500)).encode())
    answer = server.post("/v1/echo/batch", packed, content_encoding="gzip")
    assert answer.json()["counts"]["succeeded"] == 500


def test_a_chunked_body_is_one_body(server: Any) -> None:
    answer = server.post("/v1/echo", iter([b'{"te', b'xt":', b'"x"}']))
    assert answer.json() == {"text": "x"}


def test_an_item_no_batch_can_hold_fails_alone(server: Any) -> None:
    reply = server.post("/v1/heavy/batch", ["x", "y" * 11, "z"]).json()
    assert [item["status"] for item in reply["items"]] == [200, 413, 200]
    assert reply["items"][1]["error"]["code"] == "item_too_heavy"
    assert server.post("/v1/heavy", "y" * 11).problem() == "item_too_heavy"


def test_a_full_queue_refuses_the_whole_and_says_when_to_come_back(server: Any) -> None:
    body = b"1"
    head = (
        b"POST /v1/stuck HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n"
    )
    callers = [server.connect() for _ in range(6)]
    try:
        for caller in callers:
            caller.sendall(head + body)
        refused: list[bytes] = []
        waiting = list(callers)
        while len(refused) < 3:
            for caller in select.select(waiting, [], [], 30)[0]:
                refused.append(caller.recv(65536))
                waiting.remove(caller)
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in refused)
        batch = server.post("/v1/stuck/batch", [1, 2])
        assert (batch.status, batch.problem()) == (503, "queue_full")
        assert batch.json()["retryable"] is True
        assert 1 <= int(batch.headers["retry-after"]) == batch.json()["retry_after_s"]
        assert server.get("/readyz").json()["checks"]["draining"] == {"ok": True}
        assert server.post("/v1/release", b"null").status == 200
        for caller in waiting:
            assert caller.recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for caller in callers:
            caller.close()


def test_a_handler_describes_itself(server: Any) -> None:
    told = server.get("/v1/echo").json()
    assert (told["name"], told["description"]) == ("echo", "Return each item.")
    assert told["item"] == {"$ref": "#/components/schemas/Text"}
    assert told["components"]["schemas"]["Text"]["required"] == ["text"]
    assert told["limits"]["batch_items"] == 1000
    assert told["batching"]["max_size"] == 100
    assert told["routes"] == {
        "single": "echo",
        "batch": "echo/batch",
        "stream": "echo/stream",
        "jobs": "echo/jobs",
    }


@pytest.mark.parametrize("path", ["/v1/echo", "/v1/echo/batch"])
def test_a_repeat_under_a_key_is_given_the_answer_again(server: Any, path: str) -> None:
    body = {"text": "x"} if path == "/v1/echo" else [{"text": "x"}]
    key = f"{server.port} {path}".encode().hex()
    asked = {"idempotency-key": key}
    first, again = server.post(path, body, **asked), server.post(path, body, **asked)
    assert (first.status, first.body) == (again.status, again.body)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert server.post(path, [], **asked).json()["code"] == "idempotency_key_reused"
    unknown = server.post(path, body, **{"idempotency-key": f"{key}0", "idempotency-repeat": "true"})
    assert (unknown.status, unknown.json()["code"]) == (409, "idempotency_unknown")


def test_health_is_told(server: Any) -> None:
    live, ready = server.get("/livez"), server.get("/readyz")
    assert (live.status, live.json()) == (200, {"status": "ok"})
    assert (ready.status, ready.json()["status"]) == (200, "ok")
    assert ready.headers["cache-control"] == live.headers["cache-control"] == "no-store"


def test_documents_and_metrics_are_served(server: Any) -> None:
    document = server.get("/openapi.json").json()
    assert "/v1/echo/batch" in document["paths"]
    assert b"<html" in server.get("/docs").body
    assert server.get("/").headers["location"] == "docs"
    metrics = server.get("/metrics")
    assert b'gristmill_items_total{handler="echo",outcome="ok"}' in metrics.body
    assert server.get("/problems/queue-full").json()["code"] == "queue_full"
    assert server.request("HEAD", "/docs").body == b""


def test_paths_and_methods_we_do_not_have_are_problems(server: Any) -> None:
    for path in (
        "/nope",
        "/v1/nope",
        "/v1/echo/",
        "/v1/echo/batch/x",
        "/docs/nope.js",
        "/v1/jobs/..%2f..%2fetc",
    ):
        answer = server.get(path)
        assert (answer.status, answer.problem()) == (404, "not_found")
    answer = server.request("PUT", "/v1/echo", {"text": "x"})
    assert (answer.status, answer.problem()) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    assert server.get("/v1/echo/batch").headers["allow"] == "POST"
