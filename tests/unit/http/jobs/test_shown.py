from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gristmill.http.jobs.shown import is_known, look_again_in, shown, version_of
from gristmill.model.job import Job, JobCounts, JobState


def job(state: JobState = JobState.RUNNING, **changes: Any) -> Job:
    counts = {"total": 10, "queued": 10, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    counts |= changes.pop("counts", {})
    facts = {"priority": 4, "created_at": 1000.0, "due_at": 1000.0, "finished_at": None, **changes}
    return Job(id="job_" + "0" * 26, queue="echo", state=state, counts=JobCounts(**counts), **facts)


FINAL = {"state": JobState.COMPLETED, "finished_at": 1010.5, "counts": {"queued": 0, "succeeded": 10}}


def test_times_are_rfc_3339_and_links_below_the_base() -> None:
    found = msgspec.to_builtins(shown(job(**FINAL), "/api/v1", {"echo": 3600.0}))
    assert found["created_at"] == "1970-01-01T00:16:40Z"
    assert found["finished_at"] == "1970-01-01T00:16:50.500000Z"
    assert found["expires_at"] == "1970-01-01T01:16:50.500000Z"
    assert found["links"]["results"] == f"/api/v1/jobs/{found['id']}/results"
    assert sum(found["counts"].values()) == 2 * found["counts"]["total"]


def test_what_is_kept_for_ever_expires_at_the_end_of_all_dates() -> None:
    found = msgspec.to_builtins(shown(job(**FINAL), "/v1", {"echo": 1e18}))
    assert found["expires_at"] == "9999-12-31T23:59:59Z"


def test_when_a_job_of_another_app_expires_is_not_known() -> None:
    assert "expires_at" not in msgspec.to_builtins(shown(job(**FINAL), "/v1", {"other": 1.0}))


def test_a_version_changes_with_the_counts_and_the_end() -> None:
    versions = {
        version_of(each)
        for each in (
            job(),
            job(counts={"queued": 9, "running": 1}),
            job(counts={"queued": 9, "failed": 1}),
            job(**FINAL),
            job(**{**FINAL, "finished_at": 1011.0}),
        )
    }
    assert len(versions) == 5
    assert version_of(job()) == version_of(job())


@pytest.mark.parametrize(
    ("header", "known"),
    [(None, False), (b'"v"', True), (b'"a", W/"v"', True), (b"*", True), (b"v", False), (b'"vv"', False)],
)
def test_a_tag_is_compared_weakly(header: bytes | None, *, known: bool) -> None:
    assert is_known("v", header) is known


@pytest.mark.parametrize(
    ("facts", "now", "seconds"),
    [
        (FINAL, 1020.0, None),
        ({}, 1001.0, 1),
        ({"due_at": 1030.0}, 1010.5, 20),
        ({"due_at": 99_999.0}, 1000.0, 60),
        ({"counts": {"queued": 5, "succeeded": 5}}, 1010.0, 10),
        ({"counts": {"queued": 9, "succeeded": 1}}, 1100.0, 60),
        ({"counts": {"queued": 1, "succeeded": 9}}, 1000.0, 1),
    ],
)
def test_a_job_is_looked_at_again_when_it_may_be_done(facts: Any, now: float, seconds: int | None) -> None:
    assert look_again_in(job(**facts), now) == seconds
