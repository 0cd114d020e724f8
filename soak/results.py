"""What the store says at the end, held against what was submitted and what handlers did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gristmill.model.job import Job, JobState
from gristmill.model.lease import ResultKind
from gristmill.model.queue import QueueStatus
from soak.history import History, Run, item_of

UNTIL_THE_LIMIT = ("flaky", "handler_error")
"""Codes of failures that are tried again, until the attempts are used up."""


@dataclass(slots=True, kw_only=True)
class Submitted:
    """A job that was acknowledged.

    Attributes:
        serial: Ascending; of two jobs of one key, the lower was acknowledged before the other was sent.
        id: What the store calls it.
        size: Its items.
        key: Its ordering key.
        is_cancelled: Whether somebody asked to cancel it, or some of its items.
        redriven_at: When somebody asked to run its dead items again.
    """

    serial: int
    id: str
    size: int
    key: str | None = None
    is_cancelled: bool = False
    redriven_at: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One stored outcome; *value* names the run that it came from."""

    place: int
    kind: ResultKind
    value: str | None = None
    code: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A job as the store has it at the end, and its outcomes in the order of settling."""

    job: Job
    outcomes: Sequence[Outcome]


def check_results(
    history: History,
    submitted: Sequence[Submitted],
    endings: Mapping[str, Ending],
    *,
    attempts: int,
) -> Iterator[str]:
    """Yield what is wrong with the jobs that the store has.

    Args:
        history: What handlers did.
        submitted: All jobs that were acknowledged.
        endings: All jobs of the store, by id.
        attempts: The limit.
    """
    known = {job.id for job in submitted}
    for strange in endings.keys() - known:
        yield f"job {strange} is in the store, and nobody was told of it"
    runs = {run.id: run for run in history.runs}
    for job in submitted:
        ending = endings.get(job.id)
        if ending is None:
            yield f"job {job.id} ({job.serial}) was acknowledged, and is lost"
            continue
        yield from (f"job {job.id} ({job.serial}): {wrong}" for wrong in _of_job(job, ending))
        yield from (
            f"job {job.id} ({job.serial}): {wrong}" for wrong in _of_items(job, ending, runs, attempts)
        )
    yield from _of_runs(history, submitted, attempts)


def _of_job(job: Submitted, ending: Ending) -> Iterator[str]:
    found = ending.job
    if not found.state.is_final:
        yield f"is not final but {found.state}: {found.counts}"
    if found.state is JobState.CANCELLED and not job.is_cancelled:
        yield "was cancelled by nobody"
    counts = found.counts
    parts = counts.queued + counts.running + counts.succeeded + counts.failed + counts.cancelled
    if not counts.total == parts == job.size:
        yield f"has counters that do not add up to {job.size} items: {counts}"
    last = {outcome.place: outcome.kind for outcome in ending.outcomes}
    kinds = Counter(last.values())
    told = {
        ResultKind.SUCCEEDED: counts.succeeded,
        ResultKind.FAILED: counts.failed,
        ResultKind.CANCELLED: counts.cancelled,
    }
    if found.state.is_final and any(kinds[kind] != number for kind, number in told.items()):
        yield f"has counters that are not its results: {counts}, {dict(kinds)}"


def _of_items(job: Submitted, ending: Ending, runs: Mapping[str, Run], attempts: int) -> Iterator[str]:
    by_place: dict[int, list[Outcome]] = {}
    for outcome in ending.outcomes:
        by_place.setdefault(outcome.place, []).append(outcome)
    if ending.job.state.is_final and (missing := sorted(set(range(job.size)) - by_place.keys())):
        yield f"items {missing} have no outcome"
    if strange := sorted(by_place.keys() - set(range(job.size))):
        yield f"has outcomes of items {strange} that it never had"
    for place, outcomes in by_place.items():
        kinds = [outcome.kind for outcome in outcomes]
        is_settled_again = any(kind is not ResultKind.FAILED for kind in kinds[:-1])
        if is_settled_again or len(outcomes) > 1 + len(job.redriven_at):
            told = ", ".join(kinds)
            yield f"item {place} was settled as {told}, redriven {len(job.redriven_at)} times"
        if ResultKind.CANCELLED in kinds and not job.is_cancelled:
            yield f"item {place} was cancelled by nobody"
        for outcome in outcomes:
            if (wrong := _of_outcome(item_of(job.serial, place), outcome, runs, attempts)) is not None:
                yield f"item {place} {wrong}"


def _of_outcome(item: int, outcome: Outcome, runs: Mapping[str, Run], attempts: int) -> str | None:
    if outcome.kind is ResultKind.SUCCEEDED:
        run = runs.get(outcome.value or "")
        if run is None or item not in run.items:
            return f"succeeded by run {outcome.value}, which never saw it"
        if run.how != "ok" or item in run.refused:
            return f"succeeded by run {run.id}, which ended {run.how} and did not say so"
    if outcome.kind is ResultKind.FAILED:
        if outcome.attempts > attempts:
            return f"failed after {outcome.attempts} attempts of {attempts}"
        if outcome.code in UNTIL_THE_LIMIT and outcome.attempts != attempts:
            return f"failed of {outcome.code} after only {outcome.attempts} attempts of {attempts}"
    return None


def _of_runs(history: History, submitted: Sequence[Submitted], attempts: int) -> Iterator[str]:
    known = {item_of(job.serial, place) for job in submitted for place in range(job.size)}
    for run in history.runs:
        if run.attempt > attempts:
            yield f"run {run.id} was attempt {run.attempt} of {attempts}"
        if strange := [item for item in run.items if item not in known]:
            yield f"run {run.id} was given items that nobody submitted: {strange}"
        if len(set(run.items)) != len(run.items):
            yield f"run {run.id} was given an item twice: {run.items}"


def check_queues(queues: Sequence[QueueStatus], endings: Mapping[str, Ending]) -> Iterator[str]:
    """Yield what queues still hold although every job is final."""
    for queue in queues:
        if queue.ready or queue.scheduled or queue.blocked or queue.running:
            yield f"queue {queue.name} still holds items: {queue}"
    dead = sum(queue.dead for queue in queues)
    failed = sum(ending.job.counts.failed for ending in endings.values())
    if dead > failed:
        yield f"{dead} items are dead in the queues, but only {failed} failed in the jobs"
