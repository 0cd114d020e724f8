from __future__ import annotations

import pytest

from gristmill.errors import (
    InvalidItem,
    JobNotFinal,
    JobNotFound,
    LeaseLost,
    StoreError,
    StoreUnavailable,
    StoreVersion,
    UniqueConflict,
    UnknownHandler,
)
from gristmill.http.jobs.call import problem_of


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (JobNotFound("x"), 404, "not_found"),
        (UnknownHandler("x"), 404, "not_found"),
        (JobNotFinal("x"), 409, "job_not_final"),
        (UniqueConflict("x", job="j"), 422, "idempotency_key_reused"),
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


def test_an_item_is_pointed_at() -> None:
    found = problem_of(InvalidItem("secret", index=3))
    assert [complaint.pointer for complaint in found.errors or []] == ["#/3"]
