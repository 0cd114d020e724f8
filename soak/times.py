"""Who ran what when: no item twice at once, none after its success, no two batches of a key at once.

A lease is a promise of time. Whoever stands still for longer than it lives, or cannot reach the store, may
go on with what is somebody else's by now, for as long as it takes to be told; only what it does is not
recorded. So a batch counts as ended while its worker was in such trouble, and one that began in it, or
just afterwards, from a claim that it had before, does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gristmill.model.lease import ResultKind
from soak.history import PLACES, History, Run, Trouble
from soak.results import Ending, Submitted

_SLACK = 0.002
"""Seconds; a line is written a little before or after what it tells of."""


class Times:
    """The runs of a history, with what each of them may be blamed for.

    Args:
        history: What happened.
        lease: Seconds for which a lease lives without renewal.
    """

    def __init__(self, history: History, lease: float) -> None:
        self._lease = lease
        self._troubles = [
            each
            for each in history.troubles
            if each.end - each.start > (lease / 4 if each.worker is not None else 0)
        ]
        self.runs = [run for run in history.runs if not self._is_excused(run)]

    def _of(self, run: Run) -> Iterator[Trouble]:
        return (each for each in self._troubles if each.worker in (None, run.worker))

    def _is_excused(self, run: Run) -> bool:
        """Tell whether *run* began by a claim whose lease may have died unnoticed."""
        return any(each.start <= run.start <= each.end + self._lease for each in self._of(run))

    def end_of(self, run: Run) -> float:
        """Return until when nobody else may have what *run* has."""
        held = self._lease / 2  # it was renewed after a third at the latest
        return min([run.end, *(each.start + held for each in self._of(run) if each.start >= run.start)])


def check_times(
    history: History,
    submitted: Sequence[Submitted],
    endings: Mapping[str, Ending],
    *,
    lease: float,
    size: int,
) -> Iterator[str]:
    """Yield what ran when it should not have.

    Args:
        history: What happened.
        submitted: All jobs that were acknowledged.
        endings: All jobs of the store, by id.
        lease: Seconds.
        size: The most items of a chunk.
    """
    times = Times(history, lease)
    yield from _twice_at_once(times)
    yield from _after_success(times, history, submitted, endings)
    yield from _keys(times, submitted, size)


def _twice_at_once(times: Times) -> Iterator[str]:
    last: dict[int, Run] = {}
    for run in times.runs:
        for item in run.items:
            before = last.get(item)
            if before is not None and run.start < times.end_of(before) - _SLACK:
                yield f"item {item} ran in {_shown(before)} and at the same time in {_shown(run)}"
            if before is None or times.end_of(run) > times.end_of(before):
                last[item] = run


def _after_success(
    times: Times, history: History, submitted: Sequence[Submitted], endings: Mapping[str, Ending]
) -> Iterator[str]:
    runs = {run.id: run for run in history.runs}
    succeeded: dict[int, Run] = {}
    for job in submitted:
        for outcome in endings[job.id].outcomes if job.id in endings else ():
            run = runs.get(outcome.value or "")
            if outcome.kind is ResultKind.SUCCEEDED and run is not None:
                succeeded[job.serial * PLACES + outcome.place] = run
    for run in times.runs:
        for item in run.items:
            by = succeeded.get(item)
            if by is not None and run.start > by.end:
                yield f"item {item} succeeded in {_shown(by)}, and ran again in {_shown(run)}"


def _keys(times: Times, submitted: Sequence[Submitted], size: int) -> Iterator[str]:
    keyed = {job.serial: job for job in submitted if job.key is not None}
    last: dict[str, tuple[Run, tuple[int, int]]] = {}
    furthest: dict[str, tuple[tuple[int, int], Run]] = {}
    for run in times.runs:
        units = {(item // PLACES, item % PLACES // size) for item in run.items if item // PLACES in keyed}
        if len(units) > 1 or (units and any(item // PLACES not in keyed for item in run.items)):
            yield f"{_shown(run)} mixed ordering keys, or chunks of one: {sorted(units)}"
        for unit in sorted(units):
            job = keyed[unit[0]]
            key = job.key or ""
            if key in last and run.start < times.end_of(last[key][0]) - _SLACK:
                before, other = last[key]
                yield f"key {key}: {_shown(run)} of {unit} began while {_shown(before)} of {other} ran"
            if key not in last or times.end_of(run) > times.end_of(last[key][0]):
                last[key] = run, unit
            if any(at <= run.start for at in job.redriven_at):
                continue  # it runs behind those that came meanwhile
            if key in furthest and furthest[key][0] > unit:
                ahead, before = furthest[key]
                yield f"key {key}: {_shown(run)} of {unit} began after {_shown(before)} of {ahead}"
            else:
                furthest[key] = unit, run


def _shown(run: Run) -> str:
    return f"run {run.id} ({run.start:.3f} to {run.end:.3f}, {run.how}, attempt {run.attempt})"
