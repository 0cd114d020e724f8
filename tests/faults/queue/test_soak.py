"""The soak, for a moment, and its check with histories that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from soak.history import history_of, item_of
from soak.results import Ending, Outcome, Submitted
from soak.soaking import check, soak
from soak.worker import ATTEMPTS, LEASE

from gristmill.model.job import Job, JobCounts, JobState
from gristmill.model.lease import ResultKind
from gristmill.model.queue import QueueStatus

SUCCEEDED, FAILED, CANCELLED = ResultKind.SUCCEEDED, ResultKind.FAILED, ResultKind.CANCELLED


class Forged:
    """A history that somebody made up, and the end that goes with it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.submitted: list[Submitted] = []
        self.endings: dict[str, Ending] = {}
        self.queues: list[QueueStatus] = []

    def job(
        self,
        serial: int,
        outcomes: Sequence[Outcome],
        *,
        key: str | None = None,
        size: int = 1,
        **counts: int,
    ) -> Submitted:
        made = Submitted(serial=serial, id=f"job_{serial}", size=size, key=key)
        told = {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
        for kind in {outcome.place: outcome.kind for outcome in outcomes}.values():
            told[kind.value] += 1
        counted = JobCounts(**({"total": size} | told | counts))
        job = Job(
            id=made.id,
            queue="soak",
            state=JobState.RUNNING if counted.queued or counted.running else JobState.COMPLETED,
            counts=counted,
            priority=4,
            created_at=0.0,
            due_at=0.0,
            finished_at=1.0,
        )
        self.submitted.append(made)
        self.endings[made.id] = Ending(job=job, outcomes=outcomes)
        return made

    def run(
        self,
        run: str,
        items: Sequence[int],
        start: float,
        end: float | None,
        *,
        attempt: int = 1,
        how: str = "ok",
        refused: Sequence[int] = (),
    ) -> None:
        worker = run.partition(".")[0]
        self.note(start, "start", run=run, worker=worker, attempt=attempt, items=list(items))
        if end is not None:
            self.note(end, "end", run=run, how=how, refused=list(refused))

    def note(self, at: float, what: str, **more: Any) -> None:
        self.lines.append({"at": at, "what": what, **more})

    def violations(self) -> list[str]:
        return check(history_of(self.lines), self.submitted, self.endings, self.queues)

    def violation(self) -> str:
        (found,) = self.violations()
        return found


def good(run: str, place: int = 0) -> Outcome:
    return Outcome(place=place, kind=SUCCEEDED, value=run)


def bad(place: int = 0, *, code: str = "broken", attempts: int = 1) -> Outcome:
    return Outcome(place=place, kind=FAILED, code=code, attempts=attempts)


@pytest.fixture
def forged() -> Forged:
    return Forged()


A, B = item_of(1, 0), item_of(2, 0)


async def test_a_short_soak_of_a_file_finds_nothing(tmp_path: Path) -> None:
    report = await soak("sqlite", tmp_path, seconds=5, seed=11, workers=3)
    assert report.violations == []
    assert report.history.deliveries >= report.outcomes["succeeded"] > 0
    assert report.history.count("kill") + report.history.count("freeze") + report.history.count("term") > 0


def test_a_good_history_is_good(forged: Forged) -> None:
    forged.job(1, [good("w2.1")], key="k")
    forged.job(2, [good("w2.2")], key="k")
    forged.run("w1.1", [A], 0.0, None)
    forged.note(0.5, "kill", worker="w1")
    forged.run("w2.1", [A], 3.0, 3.1)
    forged.run("w2.2", [B], 3.1, 3.2)
    assert forged.violations() == []


def test_a_batch_that_ends_just_before_its_worker_is_killed_has_ended(forged: Forged) -> None:
    forged.job(1, [good("w1.1")])
    forged.run("w1.1", [A], 0.0, 0.2)
    forged.note(0.1, "kill", worker="w1")
    forged.note(0.3, "exit", worker="w1")
    assert forged.violations() == []


def test_a_lost_job_is_found(forged: Forged) -> None:
    forged.job(1, [])
    forged.endings.clear()
    assert "is lost" in forged.violation()


def test_a_lost_item_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")], size=2, succeeded=2)
    forged.run("w1.1", [A], 0.0, 0.1)
    assert any("items [1] have no outcome" in each for each in forged.violations())


def test_a_job_that_nobody_was_told_of_is_found(forged: Forged) -> None:
    forged.job(1, [])
    forged.submitted.clear()
    assert "nobody was told" in forged.violation()


def test_a_job_that_never_ends_is_found(forged: Forged) -> None:
    forged.job(1, [], queued=1)
    assert "is not final" in forged.violation()


def test_counters_that_do_not_add_up_are_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")], failed=1)
    forged.run("w1.1", [A], 0.0, 0.1)
    assert any("do not add up" in each for each in forged.violations())


def test_counters_that_are_not_the_results_are_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")], succeeded=0, failed=1)
    forged.run("w1.1", [A], 0.0, 0.1)
    assert "are not its results" in forged.violation()


def test_a_doubled_success_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1"), good("w1.1")]).redriven_at.append(0.0)  # no excuse: it had succeeded
    forged.run("w1.1", [A], 0.0, 0.1)
    assert "settled as succeeded, succeeded" in forged.violation()


@pytest.mark.parametrize("redrives", [0, 1])
def test_a_failed_item_that_ran_again_was_redriven(forged: Forged, redrives: int) -> None:
    job = forged.job(1, [bad(), good("w1.2")])
    job.redriven_at += [0.5] * redrives
    forged.run("w1.1", [A], 0.0, 0.1, refused=[A])
    forged.run("w1.2", [A], 1.0, 1.1)
    assert bool(forged.violations()) == (redrives == 0)


def test_a_cancelled_item_that_nobody_cancelled_is_found(forged: Forged) -> None:
    forged.job(1, [Outcome(place=0, kind=CANCELLED)])
    assert "cancelled by nobody" in forged.violation()


def test_a_success_that_no_handler_gave_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")])
    forged.run("w1.1", [A], 0.0, 0.1, refused=[A])
    assert "did not say so" in forged.violation()
    forged.lines.clear()
    assert "never saw it" in forged.violation()


def test_more_attempts_than_the_limit_are_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")])
    forged.run("w1.1", [A], 0.0, 0.1, attempt=ATTEMPTS + 1)
    assert "was attempt" in forged.violation()


def test_an_item_that_was_given_up_too_early_is_found(forged: Forged) -> None:
    forged.job(1, [bad(code="flaky", attempts=ATTEMPTS - 1)])
    forged.run("w1.1", [A], 0.0, 0.1, refused=[A])
    assert "after only" in forged.violation()


def test_an_item_that_ran_twice_at_once_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")])
    forged.run("w1.1", [A], 0.0, 1.0)
    forged.run("w2.1", [A], 0.5, 0.6)
    assert "at the same time" in forged.violation()


@pytest.mark.parametrize(("until", "found"), [(LEASE / 10, 1), (LEASE * 1.5, 0)])
def test_only_a_worker_that_stood_still_too_long_may_share_its_item(
    forged: Forged, until: float, found: int
) -> None:
    forged.job(1, [good("w2.1")])
    forged.run("w1.1", [A], 0.0, LEASE * 2, how="cancelled")
    forged.note(0.1, "freeze", worker="w1")
    forged.note(0.1 + until, "thaw", worker="w1")
    forged.run("w2.1", [A], LEASE * 1.2, LEASE * 1.3)
    assert len(forged.violations()) == found


@pytest.mark.parametrize(("stalled", "found"), [(None, 0), ("w3", 0), ("w1", 1)])
def test_while_the_machine_stood_still_no_lease_could_be_kept_but_a_frozen_worker_is_no_machine(
    forged: Forged, stalled: str | None, found: int
) -> None:
    forged.job(1, [good("w2.1")])
    forged.run("w1.1", [A], 0.0, LEASE * 2, how="cancelled")
    forged.note(0.1, "freeze", worker="w1")
    forged.note(0.1 + LEASE / 10, "thaw", worker="w1")
    forged.note(0.2 + LEASE / 10, "stall", worker=stalled, since=0.1)
    forged.run("w2.1", [A], LEASE * 1.2, LEASE * 1.3)
    assert len(forged.violations()) == found


def test_an_item_that_ran_after_its_success_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")])
    forged.run("w1.1", [A], 0.0, 0.1)
    forged.run("w2.1", [A], 0.2, 0.3, how="cancelled")
    assert "and ran again" in forged.violation()


def test_an_overlap_of_a_key_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")], key="k")
    forged.job(2, [good("w2.1")], key="k")
    forged.run("w1.1", [A], 0.0, 1.0)
    forged.run("w2.1", [B], 0.5, 1.5)
    assert "began while" in forged.violation()


def test_a_key_out_of_order_is_found(forged: Forged) -> None:
    forged.job(1, [good("w2.1")], key="k")
    forged.job(2, [good("w1.1")], key="k")
    forged.run("w1.1", [B], 0.0, 0.1)
    forged.run("w2.1", [A], 0.5, 0.6)
    assert "began after" in forged.violation()


def test_a_batch_that_mixes_keys_is_found(forged: Forged) -> None:
    forged.job(1, [good("w1.1")], key="k")
    forged.job(2, [good("w1.1")])
    forged.run("w1.1", [A, B], 0.0, 0.1)
    assert "mixed" in forged.violation()


def test_a_lease_that_outlives_its_items_is_found(forged: Forged) -> None:
    forged.queues.append(
        QueueStatus(
            name="soak",
            is_paused=False,
            ready=0,
            scheduled=0,
            blocked=0,
            running=1,
            dead=0,
            oldest_age=0.0,
        )
    )
    assert "still holds items" in forged.violation()
