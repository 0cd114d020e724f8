from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

import pytest
from msgspec import UNSET

from gristmill.errors import BatcherClosed, HandlerFailed, QueueFull, ReplyMismatch
from gristmill.http.problems import Statuses
from gristmill.http.verdicts import Verdicts, retry_after
from gristmill.model.histogram import Histogram
from gristmill.model.outcome import Failed, failed_from
from gristmill.model.stats import Stats

VERDICTS = Verdicts("users", Statuses())


def handler_failed(cause: Exception) -> Failed:
    error = HandlerFailed(f"users raised {cause}")
    error.__cause__ = cause
    return failed_from(error)


def test_text_of_a_handler_is_shown() -> None:
    found = VERDICTS.problem_of(Failed("no such user", "not_found"))
    assert (found.status, found.detail, found.code, found.retryable) == (
        404,
        "no such user",
        "not_found",
        False,
    )
    assert found.instance is UNSET


@pytest.mark.parametrize(
    "failed",
    [
        handler_failed(ValueError("pw=hunter2")),
        failed_from(ValueError("pw=hunter2")),
        Failed(ValueError("pw=hunter2"), "broken"),
        failed_from(ReplyMismatch("pw=hunter2")),
    ],
)
def test_text_of_an_exception_is_in_the_log_only(failed: Failed, caplog: pytest.LogCaptureFixture) -> None:
    found = VERDICTS.problem_of(failed)
    assert "hunter2" not in str(found)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "hunter2" in record.getMessage()
    assert str(found.instance) in record.getMessage()


def test_an_exception_that_cannot_be_written_to_is_logged_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @dataclass(frozen=True)
    class Gone(Exception):
        key: int

    found = VERDICTS.problem_of(failed_from(Gone(7)))
    assert (found.status, found.code) == (500, "handler_error")
    assert str(found.instance) in caplog.text


def test_text_that_utf8_cannot_hold_is_shown_without_what_it_cannot() -> None:
    found = VERDICTS.problem_of(Failed("no file caf\u00e9-\udcff.csv", "not_found"))
    assert found.detail == "no file caf\u00e9-?.csv"


def test_all_waiters_of_a_failed_batch_share_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    cause = ValueError("boom")
    instances = {str(VERDICTS.problem_of(handler_failed(cause)).instance) for _ in range(5)}
    assert len(instances) == len(caplog.records) == 1


def test_a_full_queue_says_when_to_come_back_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    found = VERDICTS.problem_of(failed_from(QueueFull("full")), retry_after=7)
    assert (found.status, found.retryable, found.retry_after_s) == (503, True, 7)
    assert VERDICTS.problem_of(failed_from(BatcherClosed("closed"))).status == 503
    assert caplog.records == []


def histogram(count: int, total: float) -> Histogram:
    return Histogram((1.0,), (count, 0), total)


FULL = Stats(
    name="users",
    pending=1000,
    pending_weight=0.0,
    running_batches=1,
    running_items=100,
    slots=1,
    oldest_age=1.0,
    batches=10,
    items={},
    errors={},
    flushes={},
    batch_size=histogram(10, 1000.0),
    batch_duration=histogram(10, 5.0),
    queue_wait=histogram(0, 0.0),
    sizing=None,
)


def test_the_wait_is_the_depth_over_the_drain_rate() -> None:
    assert retry_after(FULL, 0.0) == math.ceil(11 * 0.5)
    assert retry_after(replace(FULL, slots=2), 0.0) == math.ceil(11 * 0.5 / 2)


def test_jitter_adds_up_to_half() -> None:
    assert retry_after(FULL, 1.0) == math.ceil(11 * 0.5 * 1.5)


def test_the_wait_stays_within_a_second_and_a_minute() -> None:
    assert (
        retry_after(replace(FULL, batch_size=histogram(0, 0.0), batch_duration=histogram(0, 0.0)), 1.0) == 1
    )
    assert retry_after(replace(FULL, pending=0, running_batches=0), 1.0) == 1
    assert retry_after(replace(FULL, pending=10**9), 0.0) == 60
