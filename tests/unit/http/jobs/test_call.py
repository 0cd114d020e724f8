from __future__ import annotations

import pytest

from gristmill.errors import (
    InvalidItem,
    ItemNotFound,
    JobNotFinal,
    JobNotFound,
    LeaseLost,
    QueueError,
    StoreError,
    StoreUnavailable,
    StoreVersion,
    UniqueConflict,
    UnknownHandler,
    UploadAbandoned,
)
from gristmill.http.jobs.call import problem_of


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (JobNotFinal("x"), 409, "job_not_final"),
        (UniqueConflict("x", job="j"), 422, "idempotency_key_reused"),
        (UploadAbandoned("x"), 503, "upload_abandoned"),
        (InvalidItem("x", index=3), 422, "invalid_item"),
        (StoreUnavailable("at 10.0.0.1"), 503, "store_unavailable"),
        (StoreVersion("9"), 500, "store_version"),
        (StoreError("?"), 500, "store_error"),
        (LeaseLost("x"), 404, "not_found"),
    ],
)
def test_each_error_of_the_queue_has_its_problem(error: StoreError, status: int, code: str) -> None:
    found = problem_of(error)
    assert (found.status, found.code) == (status, code)
    assert str(error) not in str(found.detail)


@pytest.mark.parametrize(
    "error", [JobNotFound("there is no job j"), ItemNotFound("j has no item 9"), UnknownHandler("no h")]
)
def test_what_is_not_there_is_named(error: QueueError) -> None:
    found = problem_of(error)
    assert (found.status, found.code, found.detail) == (404, "not_found", str(error))


def test_an_item_is_pointed_at() -> None:
    found = problem_of(InvalidItem("secret", index=3))
    assert [complaint.pointer for complaint in found.errors or []] == ["#/3"]
