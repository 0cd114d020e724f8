from __future__ import annotations

import gzip
import json
import random
from typing import Any

import pytest

from gristmill.errors import StoreError, StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable
from gristmill.queue.ids import is_job_id

NDJSON = "application/x-ndjson"


def code(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def lines(desk: Any, job: Any) -> dict[int, dict[str, Any]]:
    answer = await desk.client.get(job.json()["links"]["results"])
    return {line["index"]: line for line in map(json.loads, answer.text.splitlines())}


async def test_a_job_is_answered_where_it_is_and_when_to_look_again(desk: Any) -> None:
    desk.gate.clear()
    answer = await desk.make({"items": [{"id": "a", "data": {"text": "x"}}, {"data": {"text": "y"}}]})
    job = answer.json()
    assert answer.status_code == 202
    assert is_job_id(job["id"])
    assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert job["handler"] == "echo"
    assert job["counts"]["total"] == 2
    assert job["durability"] == "none: gone with the process"
    assert job["created_at"].endswith("Z")


async def test_a_bad_item_fails_alone(desk: Any) -> None:
    answer = await desk.make([{"text": "a"}, {"text": 7}, {"text": "bad"}], prefer="wait=10")
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=10")
    assert answer.json()["counts"] == {
        "total": 3, "queued": 0, "running": 0, "succeeded": 1, "failed": 2, "cancelled": 0,
    }  # fmt: skip
    found = await lines(desk, answer)
    assert found[0]["result"] == {"text": "a", "number": 0}
    assert (found[1]["status"], found[1]["error"]["code"]) == (422, "invalid_item")
    assert "#/1/text" in found[1]["error"]["detail"]
    assert (found[2]["status"], found[2]["error"]["detail"]) == (404, "no such text")


NOISE = random.Random(1).randbytes(1 << 19).hex().encode()
BODY = b'{"text":"a"}\n\n{"text":\n{"text":1}\r\n["' + NOISE + b'"]\n{"text":"b"}'


@pytest.mark.parametrize("packed", [False, True])
async def test_a_bad_line_fails_with_its_number_and_the_others_run(desk: Any, *, packed: bool) -> None:
    coding = {"content_encoding": "gzip"} if packed else {}
    body = gzip.compress(BODY) if packed else BODY
    answer = await desk.make(body, content_type=NDJSON, prefer="wait=10", **coding)
    found = await lines(desk, answer)
    assert [found[index]["status"] for index in range(5)] == [200, 400, 422, 413, 200]
    assert found[1]["error"]["detail"].startswith("line 3: ")
    assert found[2]["error"]["detail"].startswith("line 4: ")
    assert found[3]["error"]["code"] == "too_large"


async def test_rows_of_csv_are_items(desk: Any) -> None:
    body = b'number,text\n1,"a\nb"\nx,c\n3\n4,d'
    answer = await desk.make(body, content_type="text/csv; charset=utf-8", prefer="wait=10")
    found = await lines(desk, answer)
    assert found[0]["result"] == {"text": "a\nb", "number": 1}
    assert found[1]["error"]["detail"].startswith("line 4: ")
    assert (found[2]["status"], found[2]["error"]["code"]) == (400, "column_count")
    assert found[3]["result"] == {"text": "d", "number": 4}


async def test_failed_input_is_not_brought_back_by_a_retry(desk: Any) -> None:
    answer = await desk.make(b'{"text":"a"}\nno\n', content_type=NDJSON, prefer="wait=10")
    again = await desk.client.post(answer.json()["links"]["retry"])
    assert (again.status_code, again.json()["retried"]) == (202, 0)
    assert again.json()["state"] == "completed"


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b'[{"text":"a"},{"text":1}]', "application/json", (422, "invalid_item")),
        (b'{"text":"a"}\n{"text":1}', NDJSON, (422, "invalid_item")),
        (b"text,number\na,1\nb,x\n", "text/csv", (422, "invalid_item")),
    ],
)
async def test_strict_refuses_the_whole_job(
    desk: Any, body: bytes, kind: str, expected: tuple[int, str]
) -> None:
    answer = await desk.make(body, content_type=kind, prefer="handling=strict")
    assert code(answer) == expected
    assert answer.json()["errors"][0]["pointer"].startswith("#/1/")
    assert (await desk.client.get("/v1/jobs")).json()["jobs"] == []


BAD_GZIP = (400, "malformed_encoding")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"{", {}, (400, "malformed_json")),
        (b"[" * 100_000, {}, (400, "too_deep")),
        (b'{"data":[]}', {}, (422, "invalid_batch")),
        (b'{"items":[{"id":"a","data":1},{"id":"a","data":1}]}', {}, (422, "duplicate_item_id")),
        (b'{"items":[{"id":"a\\n","data":1}]}', {}, (422, "invalid_item_id")),
        (b"[]", {"content_type": "text/plain"}, (415, "unsupported_media_type")),
        (b"[]", {"content_encoding": "br"}, (415, "unsupported_encoding")),
        (b"[]", {"content_encoding": "gzip"}, BAD_GZIP),
        (gzip.compress(b"[]", mtime=0)[:-4], {"content_encoding": "gzip"}, BAD_GZIP),
        (gzip.compress(b"{}", mtime=0)[:-4], {"content_type": NDJSON, "content_encoding": "gzip"}, BAD_GZIP),
        (b"a,a\n1,2", {"content_type": "text/csv"}, (400, "malformed_csv")),
        (b"", {"content_type": "text/csv"}, (400, "malformed_csv")),
        (b"[]", {"idempotency_key": "a b"}, (400, "invalid_idempotency_key")),
    ],
)  # fmt: skip
async def test_a_body_that_is_none_makes_no_job(
    desk: Any, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert code(await desk.make(body, **{"content_type": "application/json", **headers})) == expected
    assert (await desk.client.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "priority=10",
        "delay=-1",
        "run_at=soon",
        "keep_results=perhaps",
        "key=",
        "key=%00",
        "key=%ED%B3%BF",
        "delay=1&run_at=1",
        "delay=999999999999",
        "run_at=999999999999",
    ],
)
async def test_an_option_that_is_wrong_is_refused(desk: Any, query: str) -> None:
    assert code(await desk.make([], f"/v1/echo/jobs?{query}")) == (422, "invalid_option")
    assert (await desk.client.get("/v1/jobs")).json()["jobs"] == []


async def test_options_are_kept(desk: Any) -> None:
    answer = await desk.make([{"text": "a"}], "/v1/echo/jobs?priority=0&delay=50&key=k&keep_results=false")
    job = answer.json()
    assert job["priority"] == 0
    assert job["due_at"] > job["created_at"]
    assert 40 <= int(answer.headers["retry-after"]) <= 50


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"[" + b" " * 1000 + b"]", "application/json", (413, "content_too_large")),
        (b"\n" * 3001, NDJSON, (413, "content_too_large")),
        (json.dumps([{"text": "a"}] * 6).encode(), "application/json", (413, "too_many_items")),
        (b'{"text":"a"}\n' * 6, NDJSON, (413, "too_many_items")),
        (b"text\n" + b"a\n" * 6, "text/csv", (413, "too_many_items")),
    ],
)
async def test_too_much_is_refused_and_nothing_is_left(
    small_desk: Any, body: bytes, kind: str, expected: tuple[int, str]
) -> None:
    answer = await small_desk.make(body, content_type=kind)
    assert code(answer) == expected
    if expected[1] == "too_many_items":
        assert answer.json()["limit_items"] == 5
    assert (await small_desk.client.get("/v1/jobs")).json()["jobs"] == []


async def test_a_gzip_bomb_is_refused(desk: Any) -> None:
    bomb = gzip.compress(b" " * (40 << 20))
    answer = await desk.make(bomb, content_type=NDJSON, content_encoding="gzip")
    assert code(answer) == (413, "content_too_large")
    assert (await desk.client.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize("kind", [NDJSON, "application/json"])
async def test_a_repeat_is_answered_with_the_same_job(desk: Any, kind: str) -> None:
    body = b'[{"text":"a"}]'
    first = await desk.make(body, content_type=kind, idempotency_key='"k-1"')
    second = await desk.make(body, content_type=kind, idempotency_key="k-1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    other = await desk.make(body + b"\n", content_type=kind, idempotency_key="k-1")
    assert code(other) == (422, "idempotency_key_reused")
    assert len((await desk.client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_repeat_of_a_large_upload_is_answered_with_the_same_job(desk: Any) -> None:
    body = b'{"text":"' + b"x" * 1000 + b'"}\n'
    headers = {"content_type": NDJSON, "idempotency_key": "large"}
    first, second = [await desk.make(body * 10_000, **headers) for _ in range(2)]
    assert first.json()["counts"]["total"] == 10_000
    assert second.json()["id"] == first.json()["id"]
    assert code(await desk.make(body * 10_001, **headers)) == (422, "idempotency_key_reused")


async def test_a_repeat_while_the_first_is_received_has_to_wait(desk: Any) -> None:
    from gristmill.http.idempotency import held_under  # noqa: PLC0415 - of this test alone
    from gristmill.model.job import NewJob  # noqa: PLC0415

    new = NewJob(id="job_" + "0" * 26, queue="echo", unique=held_under("k", "abc"))
    await desk.store.begin(new)
    answer = await desk.make([], idempotency_key="k")
    assert code(answer) == (409, "idempotency_in_flight")
    assert answer.headers["retry-after"] == "1"


async def test_one_item_may_become_a_job(desk: Any) -> None:
    answer = await desk.make({"text": "a"}, "/v1/echo", prefer="respond-async, wait=10")
    assert answer.status_code == 200
    assert answer.headers["preference-applied"] == "respond-async, wait=10"
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert (await lines(desk, answer))[0]["result"]["text"] == "a"
    refused = await desk.make({"text": 1}, "/v1/echo", prefer="respond-async")
    assert code(refused) == (422, "invalid_item")
    assert refused.json()["errors"][0]["pointer"] == "#/text"


async def test_a_batch_may_become_a_job(desk: Any) -> None:
    answer = await desk.make([{"text": "a"}], "/v1/echo/batch", prefer="respond-async")
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    lined = await desk.make(b'{"text":"a"}', "/v1/echo/batch", prefer="respond-async", content_type=NDJSON)
    assert lined.status_code == 202
    assert (
        code(await desk.make(b"", "/v1/echo/batch", prefer="respond-async", content_type="text/csv"))[0]
        == 415
    )


async def test_another_preference_changes_nothing(desk: Any) -> None:
    answer = await desk.make({"text": "a"}, "/v1/echo", prefer="wait=1")
    assert answer.json() == {"text": "a", "number": 0}


async def test_a_wait_that_is_over_is_answered_202(small_desk: Any) -> None:
    small_desk.gate.clear()
    answer = await small_desk.make([{"text": "a"}], prefer="wait=3600")
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=3600")
    assert answer.json()["state"] == "running"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailable("at 10.0.0.1"), (503, "store_unavailable")),
        (StoreFull("disk"), (507, "store_full")),
        (StoreReadOnly("replica"), (503, "store_read_only")),
        (StoreMisconfigured("noeviction"), (500, "store_misconfigured")),
        (StoreError("hm"), (500, "store_error")),
    ],
)
async def test_a_store_that_does_not_do_it_is_told_without_its_text(
    desk: Any, error: StoreError, expected: tuple[int, str]
) -> None:
    desk.store.error = error
    answer = await desk.make([{"text": "a"}])
    assert code(answer) == expected
    assert str(error) not in answer.text
    assert ("retry-after" in answer.headers) is (expected[0] == 503)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'[{"text":"a"},{"text":""},{"text":"b"}]', "application/json"),
        (b'{"text":"a"}\n{"text":""}\n{"text":"b"}\n', NDJSON),
        (b'text\na\n""\nb\n', "text/csv"),
    ],
)
@pytest.mark.parametrize("function", ["key", "weigh"])
async def test_an_item_of_which_a_function_of_the_handler_raises_fails_alone(
    open_desk: Any, function: str, body: bytes, kind: str
) -> None:
    limits: dict[str, Any] = {function: lambda item: ord(item.text[0])}
    desk = await open_desk(handler={**limits, **({"max_weight": 200} if function == "weigh" else {})})
    strict = await desk.make(body, content_type=kind, prefer="handling=strict")
    assert code(strict) == (500, "handler_error")
    assert (await desk.client.get("/v1/jobs")).json()["jobs"] == []
    made = await desk.make(body, content_type=kind, prefer="wait=10")
    counts = made.json()["counts"]
    assert (counts["succeeded"], counts["failed"]) == (2, 1)
    lines = (await desk.client.get(made.json()["links"]["results"] + "?ordered=true")).text.splitlines()
    assert json.loads(lines[1])["error"]["code"] == "handler_error"
