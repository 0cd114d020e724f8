from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from gristmill.batching.reply import Settled
from gristmill.codec.results import ResultCodec
from gristmill.errors import BatcherClosed, ItemFailed
from gristmill.http.batch_reply import BatchWriter
from gristmill.http.batch_request import BatchRequest
from gristmill.http.problems import Statuses, problem
from gristmill.http.verdicts import Verdicts
from gristmill.model.outcome import Ok

WRITER = BatchWriter(ResultCodec(), Verdicts("users", Statuses()))


def answer(request: BatchRequest, *answers: Any, **options: Any) -> dict[str, Any]:
    errors = {index: one for index, one in enumerate(answers) if isinstance(one, Exception)}
    settled = Settled([None if index in errors else one for index, one in enumerate(answers)], errors)
    reply: dict[str, Any] = json.loads(WRITER.write(request, settled, took=0.0184, **options))
    return reply


def batch(*items: object) -> BatchRequest:
    return BatchRequest(len(items), list(items))


def test_every_item_has_its_own_verdict_in_the_order_of_the_request() -> None:
    request = BatchRequest(4, ["a", "c", "d"], [0, 2, 3], ["a", "b", "c", None], {1: problem("invalid_item")})
    reply = answer(request, 1, ItemFailed("no", code="not_found"), BatcherClosed("x"), retry_after=4)
    assert reply["errors"] is True
    assert reply["took_ms"] == 18
    assert reply["counts"] == {"total": 4, "succeeded": 1, "failed": 2, "unprocessed": 1}
    assert [item["status"] for item in reply["items"]] == [200, 422, 404, 503]
    assert [item["index"] for item in reply["items"]] == [0, 1, 2, 3]
    assert [item.get("id") for item in reply["items"]] == ["a", "b", "c", None]
    assert reply["items"][0] == {"index": 0, "id": "a", "status": 200, "result": 1}
    assert reply["items"][2]["error"] == {
        "type": "/problems/not-found",
        "code": "not_found",
        "title": "Not found",
        "detail": "no",
        "retryable": False,
    }
    assert reply["items"][3]["error"]["retry_after_s"] == 4


def test_the_errors_flag_comes_first() -> None:
    assert WRITER.write(batch(1), Settled([1], {}), took=0.0).startswith(
        b'{"errors":false,"took_ms":0,"counts":'
    )


def test_an_empty_batch_has_an_empty_answer() -> None:
    assert answer(batch()) == {
        "errors": False,
        "took_ms": 18,
        "counts": {"total": 0, "succeeded": 0, "failed": 0, "unprocessed": 0},
        "items": [],
    }


def test_a_result_of_none_is_a_result() -> None:
    assert answer(batch(1), None)["items"] == [{"index": 0, "status": 200, "result": None}]


def test_a_raw_result_beside_a_null_is_a_result() -> None:
    values = [[msgspec.Raw(b"null")], None, 3]
    assert [item["result"] for item in answer(batch(1, 2, 3), *values)["items"]] == [[None], None, 3]


@pytest.mark.parametrize("unusable", [math.nan, [1, -math.inf], object(), {"a": object()}, "\ud800"])
def test_an_unusable_result_fails_its_item_and_shifts_none(
    unusable: object, caplog: pytest.LogCaptureFixture
) -> None:
    reply = answer(batch(1, 2, 3), "a", unusable, None)
    assert [item["status"] for item in reply["items"]] == [200, 500, 200]
    assert [item.get("result") for item in reply["items"]] == ["a", None, None]
    assert reply["items"][1]["error"]["code"] == "handler_contract"
    assert reply["items"][1]["error"]["instance"] in caplog.text
    assert reply["counts"] == {"total": 3, "succeeded": 2, "failed": 1, "unprocessed": 0}


def test_a_minimal_answer_has_the_failures_only() -> None:
    reply = answer(batch(1, 2, 3), 1, ItemFailed("no"), math.nan, minimal=True)
    assert [item["index"] for item in reply["items"]] == [1, 2]
    assert reply["counts"]["succeeded"] == 1


def test_the_answer_of_a_batch_without_failures_is_the_one_of_its_structs() -> None:
    for values in ([], [1], [{"a": "line\nbreak"}, None, [1.5]], list(range(1200))):
        reply = answer(batch(*values), *values)
        assert reply == {
            "errors": False,
            "took_ms": 18,
            "counts": {"total": len(values), "succeeded": len(values), "failed": 0, "unprocessed": 0},
            "items": [{"index": i, "status": 200, "result": value} for i, value in enumerate(values)],
        }
        assert list(reply) == ["errors", "took_ms", "counts", "items"]


def test_raw_results_with_line_breaks_are_told_apart() -> None:
    values = [msgspec.Raw(b'{"a":\n1}'), 2]
    reply = answer(batch(*values), *values)
    assert [item["result"] for item in reply["items"]] == [{"a": 1}, 2]


def test_a_verdict_of_a_stream_stands_on_one_line(caplog: pytest.LogCaptureFixture) -> None:
    text, reply = WRITER.line(4, Ok(msgspec.Raw(b'{"a":\n  [1,\r\n 2]}')))
    assert (text, reply.status) == (b'{"index":4,"status":200,"result":{"a":[1,2]}}', 200)
    _, reply = WRITER.line(5, Ok(msgspec.Raw(b"{\n")))
    assert reply.status == 500
    assert "Raw is not JSON" in caplog.text
