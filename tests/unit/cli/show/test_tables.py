"""Tables of jobs, queues and dead items, at their widest, in 80 columns."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from gristmill.cli.show.console import console, plain
from gristmill.cli.show.dead import dead_table
from gristmill.cli.show.job import job_card
from gristmill.cli.show.jobs import jobs_table, percent
from gristmill.cli.show.queues import queues_table
from gristmill.model.job import Job, JobCounts, JobState
from gristmill.model.queue import DeadGroup, QueueStatus

COUNTS = JobCounts(total=9_999_999, queued=1, running=0, succeeded=4_999_999, failed=4_999_999, cancelled=0)
JOB = Job(
    id="job_01M867VKM0RC0P73YEGXVSE973",
    queue="a-handler-with-quite-a-name",
    state=JobState.CANCELLING,
    counts=COUNTS,
    priority=4,
    created_at=0.0,
    due_at=0.0,
    finished_at=None,
)
DEAD = DeadGroup(
    queue=JOB.queue,
    code="a_code_that_is_rather_long",
    items=9_999_999,
    first_at=0.0,
    last_at=0.0,
    error="An error of many words. " * 9,
)
QUEUE = QueueStatus(
    name=JOB.queue,
    is_paused=True,
    ready=999_999,
    scheduled=999_999,
    blocked=999_999,
    running=999_999,
    dead=999_999,
    oldest_age=86_400.0,
)
NOW = 99 * 86_400.0


def lines(shown: Any, **options: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, markup=False, **options).print(shown)
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    "shown",
    [
        jobs_table([JOB], NOW),
        dead_table([DEAD], NOW),
        queues_table([QUEUE]),
        job_card(JOB, [DEAD], NOW),
    ],
)
def test_everything_fits_into_80_columns_without_colour(shown: Any) -> None:
    found = lines(shown)
    assert max(map(len, found)) <= 80
    assert "\x1b" not in "".join(found)


def test_ids_and_numbers_are_never_cut() -> None:
    (row,) = lines(jobs_table([JOB], NOW))[1:]
    assert row.split()[0] == JOB.id
    assert row.split()[2:] == ["cancelling", "9999999", "99%", "4999999", "99d"]
    assert lines(queues_table([QUEUE]))[1].split()[1:] == [*["999999"] * 5, "1d", "paused"]


def test_colours_are_for_terminals() -> None:
    assert "\x1b" in "".join(lines(jobs_table([JOB], NOW), force_terminal=True, color_system="standard"))


def test_done_is_rounded_down() -> None:
    assert percent(COUNTS) == 99
    assert percent(JobCounts(total=0, queued=0, running=0, succeeded=0, failed=0, cancelled=0)) == 100


def test_texts_of_others_stay_on_their_line_and_steer_no_terminal() -> None:
    assert plain("a\nb\x1b[2Jc\x07\u202e") == "a b?[2Jc??"


def test_a_narrow_screen_cuts_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert console().width == 80
