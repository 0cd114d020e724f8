"""``POST /v1/{name}/jobs`` on real servers: the forms, the limits, repeats, and bodies that break off."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

from tests.bombs import gzip_bomb

LINES = {"content_type": "application/x-ndjson"}


def results(server: Any, job: Any, query: str = "") -> list[dict[str, Any]]:
    answer = server.get(job["links"]["results"] + query)
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.body.splitlines()]


def jobs_of(server: Any, handler: str) -> list[Any]:
    found: list[Any] = server.get(f"/v1/jobs?limit=1000&handler={handler}").json()["jobs"]
    return found


def test_a_job_is_accepted_and_done(server: Any) -> None:
    answer = server.post(
        "/v1/echo/jobs", {"items": [{"id": "a", "data": {"text": "x"}}, {"data": {"text": 7}}]}
    )
    job = answer.json()
    assert answer.status == 202
    assert answer.headers["location"] == job["links"]["self"]
    assert int(answer.headers["retry-after"]) >= 1
    done = server.get(job["links"]["self"], prefer="wait=20")
    assert (done.json()["state"], done.headers["preference-applied"]) == ("completed", "wait=20")
    assert "retry-after" not in done.headers
    found = results(server, job, "?ordered=true")
    assert [each["status"] for each in found] == [200, 422]
    assert found[0]["result"] == {"text": "x"}


def test_ten_thousand_lines_are_streamed_in_and_come_back(server: Any) -> None:
    def body() -> Iterator[bytes]:
        for start in range(0, 10_000, 100):
            yield b"".join(b"%d\n" % index for index in range(start, start + 100))

    job = server.post("/v1/anything/jobs", body(), prefer="wait=30", **LINES)
    assert job.status == 200
    assert [each["result"] for each in results(server, job.json(), "?ordered=true")] == list(range(10_000))


def test_packed_rows_of_csv_are_items(server: Any) -> None:
    body = gzip.compress(b'text,weight\na,1.5\n"b\nc",2\nd,heavy\n')
    job = server.post(
        "/v1/models/jobs", body, content_type="text/csv", content_encoding="gzip", prefer="wait=20"
    )
    found = results(server, job.json(), "?ordered=true")
    assert [each.get("result") for each in found[:2]] == [
        {"text": "a", "weight": 1.5},
        {"text": "b\nc", "weight": 2.0},
    ]
    assert found[2]["error"]["code"] == "invalid_item"
    assert found[2]["error"]["detail"].startswith("line 5: ")


def test_a_synchronous_route_may_become_a_job(server: Any) -> None:
    answer = server.post("/v1/echo", {"text": "a"}, prefer="respond-async")
    assert (answer.status, answer.headers["preference-applied"]) == (202, "respond-async")
    assert answer.headers["location"] == answer.json()["links"]["self"]
    done = server.post("/v1/echo/batch", [{"text": "b"}], prefer="respond-async, wait=20")
    assert (done.status, done.json()["counts"]["succeeded"]) == (200, 1)


def test_a_repeat_is_answered_with_the_same_job(server: Any) -> None:
    first, second = [
        server.post("/v1/echo/jobs", b'{"text":"a"}\n', idempotency_key='"key-1"', **LINES) for _ in range(2)
    ]
    assert (first.status, second.status) == (202, 202)
    assert second.headers["idempotent-replayed"] == "true"
    assert first.json()["id"] == second.json()["id"]
    other = server.post("/v1/echo/jobs", b'{"text":"b"}\n', idempotency_key="key-1", **LINES)
    assert (other.status, other.problem()) == (422, "idempotency_key_reused")
    bad = server.post("/v1/echo/jobs", [], idempotency_key="k\tk")
    assert (bad.status, bad.problem()) == (400, "invalid_idempotency_key")


def test_a_bomb_is_refused_with_memory_flat(server: Any) -> None:
    peak = server.post("/v1/peak_memory", b"null").json()
    answer = server.post("/v1/heavy/jobs", gzip_bomb(1 << 30), content_encoding="gzip", **LINES)
    assert (answer.status, answer.problem()) == (413, "content_too_large")
    assert server.post("/v1/peak_memory", b"null").json() - peak < 64 << 20
    assert jobs_of(server, "heavy") == []
    assert server.is_well()


def test_a_file_that_breaks_off_makes_no_job(server: Any) -> None:
    packed = gzip.compress(b'"a"\n' * 1000)
    cut = server.post("/v1/heavy/jobs", packed[:-9], content_encoding="gzip", **LINES)
    assert (cut.status, cut.problem()) == (400, "malformed_encoding")
    corrupt = server.post("/v1/heavy/jobs", b"\x1f\x8b" + packed[::-1], content_encoding="gzip", **LINES)
    assert (corrupt.status, corrupt.problem()) == (400, "malformed_encoding")
    assert jobs_of(server, "heavy") == []


def test_a_caller_that_leaves_has_sent_no_job(server: Any) -> None:
    with server.connect() as caller:
        caller.sendall(
            b"POST /v1/heavy/jobs HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
            b'Transfer-Encoding: chunked\r\n\r\n4\r\n"a"\n\r\n'
        )
    assert server.is_well()
    assert jobs_of(server, "heavy") == []


def test_an_upload_that_falls_silent_is_ended(server: Any) -> None:
    received = server.send_raw(
        b"POST /brisk/echo/jobs HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
        b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"text":"a"}\n\r\n'
    )
    assert b" 408 " in received
    assert b'"code":"request_timeout"' in received
    assert server.get("/brisk/jobs").json()["jobs"] == []


def test_too_many_lines_are_refused_and_nothing_is_left(server: Any) -> None:
    answer = server.post("/brisk/echo/jobs", b'{"text":"a"}\n' * 4, **LINES)
    assert (answer.status, answer.problem(), answer.json()["limit_items"]) == (413, "too_many_items", 3)
    assert server.get("/brisk/jobs").json()["jobs"] == []


def test_what_a_handler_raises_stays_in_the_log(server: Any) -> None:
    answer = server.post("/v1/raising/jobs?delay=0", ["hunter2"])
    path = answer.json()["links"]["self"]
    assert b"hunter2" not in server.get(path).body
    assert b"hunter2" not in server.get("/v1/dead").body


def test_options_that_are_wrong_are_refused(server: Any) -> None:
    for query in ("priority=12", "delay=-1", "run_at=later", "keep_results=2"):
        answer = server.post(f"/v1/echo/jobs?{query}", [])
        assert (answer.status, answer.problem()) == (422, "invalid_option")
    assert server.post("/v1/echo/jobs", b"x", content_type="text/plain").headers["accept-post"] == (
        "application/json, application/x-ndjson, text/csv, text/tab-separated-values"
    )
