from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.streams.chunk import Chunk, Task
from gristmill.streams.engines.protocol import Died, Mark
from gristmill.streams.ladder import MAX_DEATHS, Ladder
from gristmill.streams.worker.probing import PARTS, probe

CHUNK = Chunk(number=5, source=0, start=0, end=1)


class Killed(Exception):
    """The worker is dead."""


class Note:
    """What a worker noted last."""

    mark: Mark | None = None

    def running(self, first: int, stop: int) -> None:
        self.mark = Mark(first=first, stop=stop)

    def idle(self) -> None:
        self.mark = None


class Ordeal:
    """A worker and a driver, simulated: rows go to the handler in batches, and some batches kill.

    Attributes:
        rows: In the chunk.
        batch: Of a handler call.
        kills: Tells whether a batch kills.
        deaths: So far.
    """

    def __init__(self, rows: int, batch: int, kills: Callable[[Sequence[int]], bool]) -> None:
        self.rows = rows
        self.batch = batch
        self.kills = kills
        self.deaths = 0
        self.ladder = Ladder()

    def run(self, most: int = 10_000) -> Task | None:
        """Return the task that went through; None if nothing helps."""
        task: Task | None = Task(chunk=CHUNK)
        while task is not None:
            mark = self.attempt(task)
            if mark is None and task.only is None:
                self.ladder.close(CHUNK)
                return task
            if mark is None:
                task = self.ladder.survived(task)
            else:
                self.deaths += 1
                assert self.deaths < most
                task = self.ladder.died(Died(task=task, reason="was killed", is_timeout=False, mark=mark))
        return None

    def attempt(self, task: Task) -> Mark | None:
        """Return what was with the handler when the worker died; None if it lives."""
        left = deque(number for number in range(self.rows) if number not in task.convicted)
        if task.only is not None:
            first, stop = task.only
            return self.probe([number for number in left if first <= number < stop])
        size = min(self.batch, task.batch_size or self.batch)
        while left:
            batch = [left.popleft() for _ in range(min(size, len(left)))]
            if self.kills(batch):
                return Mark(first=batch[0], stop=batch[-1] + 1)
        return None

    def probe(self, numbers: Sequence[int]) -> Mark | None:
        note = Note()

        def call(start: int, stop: int) -> None:
            if self.kills(numbers[start:stop]):
                raise Killed

        try:
            probe(numbers, call, note)
        except Killed:
            return note.mark
        return None


def most_deaths(rows: int, batch: int, guilty: int) -> int:
    """Count for each guilty row its batch, a part at each level, and the deaths that convict it."""
    levels, size = 0, min(rows, batch)
    while size > 1:
        levels, size = levels + 1, -(-size // PARTS)
    return guilty * (1 + max(0, levels - 1) + MAX_DEATHS)


@given(st.data(), st.integers(1, 200), st.integers(1, 64))
@settings(max_examples=200)
def test_the_guilty_rows_and_no_other_are_convicted(data: st.DataObject, rows: int, batch: int) -> None:
    guilty = data.draw(st.sets(st.integers(0, rows - 1), max_size=6))
    ordeal = Ordeal(rows, batch, lambda those: not guilty.isdisjoint(those))
    task = ordeal.run()
    assert task is not None
    assert task.convicted.keys() == guilty
    assert {crash.deaths for crash in task.convicted.values()} <= {MAX_DEATHS}
    assert ordeal.deaths <= most_deaths(rows, batch, len(guilty))


@given(st.data(), st.integers(2, 100), st.integers(2, 64))
@settings(max_examples=200)
def test_rows_that_kill_only_together_are_parted_and_not_convicted(
    data: st.DataObject, rows: int, batch: int
) -> None:
    pair = data.draw(st.sets(st.integers(0, rows - 1), min_size=2, max_size=2))
    ordeal = Ordeal(rows, batch, lambda those: pair <= set(those))
    task = ordeal.run()
    assert task is not None
    assert not task.convicted
    halvings = batch.bit_length()
    assert ordeal.deaths <= (halvings + 1) * (halvings + 4) // 2  # each size of a batch is searched anew


@given(st.integers(1, 100), st.integers(1, 32), st.integers(1, 8))
def test_batches_that_need_too_much_memory_are_made_smaller(rows: int, batch: int, most: int) -> None:
    task = Ordeal(rows, batch, lambda those: len(those) > most).run()
    assert task is not None
    assert not task.convicted


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 32))
@settings(max_examples=200)
def test_a_row_that_kills_now_and_then_ends_the_run_or_itself_and_nobody_else(
    seed: int, rows: int, batch: int
) -> None:
    chance = random.Random(seed)
    flaky = chance.randrange(rows)
    task = Ordeal(rows, batch, lambda those: flaky in those and chance.random() < 0.5).run(most=100)
    assert task is None or task.convicted.keys() <= {flaky}


def test_a_timeout_is_told_from_a_crash() -> None:
    ladder = Ladder(max_deaths=1)
    died = Died(task=Task(chunk=CHUNK), reason="hung", is_timeout=True, mark=Mark(first=3, stop=4))
    probe = ladder.died(died)
    assert probe is not None
    assert probe.only == (3, 4)
    task = ladder.died(Died(task=probe, reason="hung", is_timeout=True, mark=None))
    assert task is not None
    assert (task.only, task.convicted[3].code, task.convicted[3].message) == (
        None,
        "deadline_exceeded",
        "hung",
    )


def test_deaths_without_a_row_are_given_up_after_some() -> None:
    ladder = Ladder()
    died = Died(task=Task(chunk=CHUNK), reason="out of memory", is_timeout=False, mark=None)
    assert [ladder.died(died) is None for _ in range(MAX_DEATHS)] == [False, False, True]


def test_a_chunk_that_ran_is_forgotten() -> None:
    ladder = Ladder()
    died = Died(task=Task(chunk=CHUNK), reason="out of memory", is_timeout=False, mark=None)
    for _ in range(3 * MAX_DEATHS):
        assert ladder.died(died) is not None
        ladder.close(CHUNK)


@pytest.mark.parametrize("limit", [None, 7])
def test_what_the_task_was_stays(limit: int | None) -> None:
    ladder = Ladder(max_deaths=1)
    task = Task(chunk=CHUNK, limit=limit, layout=b"[]")
    probe = ladder.died(Died(task=task, reason="", is_timeout=False, mark=Mark(first=0, stop=1)))
    assert probe is not None
    found = ladder.died(Died(task=probe, reason="", is_timeout=False, mark=None))
    assert found is not None
    assert (found.limit, found.layout) == (limit, b"[]")
