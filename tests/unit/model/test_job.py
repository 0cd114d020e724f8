from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.model.job import AGING, LAST_DUE, LONGEST, JobCounts, JobState, NewJob, rank_of, state_of

NUMBERS = st.integers(0, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"priority": -1},
        {"priority": 10},
        {"priority": 1.5},
        {"delay": -1},
        {"delay": "1"},
        {"delay": math.nan},
        {"delay": 2 * LONGEST},
        {"run_at": -1},
        {"run_at": 2 * LAST_DUE},
    ],
)
def test_what_no_store_could_promise_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        NewJob(id="j", queue="q", **options)


def test_a_job_is_due_after_its_delay_or_at_its_time_and_never_before_now() -> None:
    assert NewJob(id="j", queue="q", delay=5).due_at(100) == 105
    assert NewJob(id="j", queue="q", run_at=200).due_at(100) == 200
    assert NewJob(id="j", queue="q", run_at=50).due_at(100) == 100


@given(st.floats(0, 1e9), st.integers(0, 9), st.integers(0, 9))
def test_waiting_outweighs_priority_in_the_end(at: float, low: int, high: int) -> None:
    later = at + abs(low - high) * AGING + 1
    assert rank_of(at, low) < rank_of(later, high)


@given(
    queued=NUMBERS,
    running=NUMBERS,
    succeeded=NUMBERS,
    failed=NUMBERS,
    cancelled=NUMBERS,
    is_cancelled=st.booleans(),
)
def test_the_state_follows_from_the_counts(
    *, queued: int, running: int, succeeded: int, failed: int, cancelled: int, is_cancelled: bool
) -> None:
    counts = JobCounts(
        total=queued + running + succeeded + failed + cancelled,
        queued=queued, running=running, succeeded=succeeded, failed=failed, cancelled=cancelled,
    )  # fmt: skip
    state = state_of(counts, is_receiving=False, is_cancelled=is_cancelled)
    assert state.is_final == (not queued and not running)
    assert (state in (JobState.CANCELLED, JobState.CANCELLING)) == is_cancelled
    assert state_of(counts, is_receiving=True, is_cancelled=is_cancelled) is JobState.RECEIVING
