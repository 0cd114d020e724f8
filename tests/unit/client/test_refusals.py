"""What becomes of what a server says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gristmill.client.refusals import item_error, may_repeat, may_retry, of_items, of_job, refused, wait_of
from gristmill.errors import (
    AnswerLost,
    BatchCancelled,
    BatcherClosed,
    ClientError,
    DeadlineExceeded,
    HandlerFailed,
    ItemFailed,
    ItemTooHeavy,
    JobNotFinal,
    JobNotFound,
    QueueFull,
    ReplyMismatch,
    RequestRefused,
    ServerUnreachable,
    StoreUnavailable,
    UnusableAnswer,
    WorkerDied,
)
from gristmill.wire import Complaint, Problem


def told(code: str, **members: Any) -> Problem:
    return Problem(type=f"/problems/{code}", code=code, title="It is so", **members)


def answered(status: int, found: Problem | bytes = b"", **headers: str) -> ClientError:
    is_text = isinstance(found, bytes)
    fields = {"content-type": "text/html" if is_text else "application/problem+json", **headers}
    body = found if isinstance(found, bytes) else msgspec.json.encode(found)
    return refused("POST", "http://h/v1/users", status, fields, body, wait=None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("queue_full", QueueFull),
        ("deadline_exceeded", DeadlineExceeded),
        ("closed", BatcherClosed),
        ("cancelled", BatchCancelled),
        ("handler_error", HandlerFailed),
        ("handler_contract", ReplyMismatch),
        ("worker_died", WorkerDied),
        ("item_too_heavy", ItemTooHeavy),
        ("unique_violation", ItemFailed),
        ("invalid_item", ItemFailed),
    ],
)
def test_errors_of_items_are_those_of_the_handler_itself(code: str, kind: type[Exception]) -> None:
    for retryable in (True, False):
        error = item_error(told(code, retryable=retryable))
        assert type(error) is kind
        assert (error.code, error.retryable) == (code, retryable)


def test_what_is_wrong_with_an_item_is_told_without_its_place_in_the_batch() -> None:
    found = told("invalid_item", errors=[Complaint("#/items/17/data/age", "expected int")])
    assert str(item_error(found)) == "expected int at #/age"
    found = told("invalid_item", errors=[Complaint("#/3", "expected object")])
    assert str(item_error(found)) == "expected object at #"


def test_a_full_server_is_a_full_queue_for_its_callers() -> None:
    refusal = answered(503, told("queue_full", retryable=True, retry_after_s=3))
    error = of_items(refusal)
    assert isinstance(error, QueueFull)
    assert error.__cause__ is refusal
    assert wait_of(refusal) == 3.0
    assert of_items(AnswerLost("x")).code == "answer_lost"


def test_requests_about_jobs_raise_as_the_queue_does() -> None:
    assert isinstance(of_job(answered(404, told("not_found"))), JobNotFound)
    assert isinstance(of_job(answered(409, told("job_not_final"))), JobNotFinal)
    assert isinstance(of_job(answered(503, told("store_unavailable", retryable=True))), StoreUnavailable)
    assert isinstance(of_job(answered(422, told("invalid_option"))), RequestRefused)


def test_a_redirect_is_no_answer_and_says_where_to() -> None:
    error = answered(308, location="https://h/v1/users")
    assert isinstance(error, UnusableAnswer)
    assert "https://h/v1/users" in str(error)


@pytest.mark.parametrize(
    ("error", "safely", "repeatably"),
    [
        (ServerUnreachable("x"), True, True),
        (AnswerLost("x"), False, True),
        (UnusableAnswer("x"), False, False),
        (answered(429), True, True),
        (answered(503), True, True),
        (answered(502), False, True),
        (answered(504), False, True),
        (answered(500), False, False),
        (answered(400), False, False),
        (answered(413), False, False),
        (answered(503, told("queue_full", retryable=True)), True, True),
        (answered(503, told("cancelled", retryable=True)), False, True),
        (answered(409, told("idempotency_in_flight", retryable=True)), True, True),
        (answered(409, told("conflict")), False, False),
    ],
)
def test_a_request_is_repeated_if_it_was_not_taken_or_may_be_done_twice(
    error: ClientError, *, safely: bool, repeatably: bool
) -> None:
    assert may_repeat(error, repeatable=False) is safely
    assert may_repeat(error, repeatable=True) is repeatably


@pytest.mark.parametrize(
    ("code", "retryable", "plain", "idempotent"),
    [
        ("queue_full", True, True, True),
        ("closed", True, True, True),
        ("busy", True, True, True),  # the handler itself says so
        ("busy", False, False, False),
        ("handler_error", True, False, True),  # it may have done half of it
        ("deadline_exceeded", True, False, True),
        ("cancelled", True, False, True),
    ],
)
def test_an_item_is_sent_again_if_it_was_surely_not_done(
    code: str, *, retryable: bool, plain: bool, idempotent: bool
) -> None:
    error = item_error(told(code, retryable=retryable))
    assert may_retry(error, idempotent=False) is plain
    assert may_retry(error, idempotent=True) is idempotent


def test_a_whole_request_that_failed_is_not_retried_item_by_item_as_well() -> None:
    refusal = answered(503, told("queue_full", retryable=True))
    assert not may_retry(refusal, idempotent=True)
    assert not may_retry(of_items(refusal), idempotent=True)


DEEP = b'{"type":"t","code":"c","title":"t","more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NO_UTF8 = b'{"type":"t","code":"c","title":"\xff"}'


@pytest.mark.parametrize("body", [DEEP, NO_UTF8, b'{"code":'])
def test_a_problem_that_cannot_be_read_is_told_as_a_text(body: bytes) -> None:
    fields = {"content-type": "application/problem+json"}
    found = refused("POST", "http://h", 503, fields, body, wait=2.0)
    assert isinstance(found, RequestRefused)
    assert (found.code, found.retryable, found.retry_after) == ("refused", True, 2.0)


@pytest.mark.parametrize(("asked", "wait"), [(-5, 0.0), (10**400, 1e9), (7, 7.0)])
def test_a_wait_in_a_problem_may_be_any_number(asked: int, wait: float) -> None:
    found = told("queue_full", retryable=True, retry_after_s=asked)
    assert wait_of(answered(503, found)) == wait
    assert wait_of(item_error(found)) == wait


def test_a_limit_is_told_with_its_number() -> None:
    assert "limit_bytes is 100" in str(answered(413, told("content_too_large", limit_bytes=100)))
    assert "limit_bytes is 7" in str(item_error(told("too_large", limit_bytes=7)))
