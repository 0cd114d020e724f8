from __future__ import annotations

import json

import pytest

from gristmill.errors import ConfigurationError
from gristmill.http.problems import KINDS, Statuses, problem, problem_reply


@pytest.mark.parametrize("code", KINDS)
def test_every_code_has_a_status_a_title_and_a_meaning(code: str) -> None:
    found = problem(code)
    assert found.type == "/problems/" + code.replace("_", "-")
    assert isinstance(found.status, int)
    assert 400 <= found.status <= 599
    assert found.title
    assert str(found.detail).endswith(".")


def test_an_answer_is_a_problem_of_rfc_9457() -> None:
    reply = problem_reply(problem("queue_full", retryable=True, retry_after_s=3))
    headers = dict(reply.headers)
    body = json.loads(reply.body)
    assert (reply.status, body["status"], body["code"], body["retryable"]) == (503, 503, "queue_full", True)
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"content-length"] == str(len(reply.body)).encode()
    assert (headers[b"retry-after"], body["retry_after_s"]) == (b"3", 3)
    assert body["instance"].startswith("urn:uuid:")
    assert "errors" not in body


def test_each_occurrence_has_an_instance_of_its_own() -> None:
    first, second = (json.loads(problem_reply(problem("not_found")).body)["instance"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("code", "retryable", "status"),
    [
        ("out_of_stock", False, 422),
        ("try_later", True, 503),
        ("not_found", False, 404),
        ("forbidden", False, 403),
    ],
)
def test_codes_have_the_status_of_the_table_or_a_default(code: str, *, retryable: bool, status: int) -> None:
    assert Statuses().of(code, retryable=retryable) == status


def test_an_application_may_set_statuses() -> None:
    statuses = Statuses({"out_of_stock": 410, "not_found": 422})
    assert statuses.of("out_of_stock", retryable=False) == 410
    assert statuses.of("not_found", retryable=False) == 422


@pytest.mark.parametrize("status", [200, 399, 600])
def test_a_status_of_no_error_is_refused(status: int) -> None:
    with pytest.raises(ConfigurationError, match="out_of_stock"):
        Statuses({"out_of_stock": status})
