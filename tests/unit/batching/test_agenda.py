"""Which partition is due first."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gristmill.batching.agenda import Agenda
from gristmill.batching.partition import Dropped, Partition


class Clockwork:
    """Partitions with due times set by hand, and a count of how often they were asked."""

    def __init__(self) -> None:
        self.due: dict[Partition, float] = {}
        self.asked = 0
        self.agenda = Agenda(self.due_at)

    def due_at(self, partition: Partition) -> float:
        self.asked += 1
        return self.due[partition]

    def set(self, partition: Partition, due: float) -> None:
        self.due[partition] = due
        self.agenda.note(partition)


def partitions(count: int) -> list[Partition]:
    dropped = Dropped()
    return [Partition(key, dropped) for key in range(count)]


def test_the_earliest_comes_first() -> None:
    works = Clockwork()
    first, second, third = partitions(3)
    for partition, due in ((first, 3.0), (second, 1.0), (third, 2.0)):
        works.set(partition, due)
    assert works.agenda.first() == 1.0
    assert works.agenda.pop_due(0.5) is None
    assert works.agenda.pop_due(2.5) is second
    assert works.agenda.pop_due(2.5) is third
    assert works.agenda.pop_due(2.5) is None


def test_full_ones_take_turns() -> None:
    works = Clockwork()
    first, second = partitions(2)
    works.set(first, -math.inf)
    works.set(second, -math.inf)
    assert works.agenda.pop_due(0.0) is first
    works.set(first, -math.inf)  # it is full again at once
    assert works.agenda.pop_due(0.0) is second
    assert works.agenda.pop_due(0.0) is first


def test_a_due_time_that_moved_later_is_noticed_when_it_comes() -> None:
    works = Clockwork()
    (only,) = partitions(1)
    works.set(only, 1.0)
    assert works.agenda.first() == 1.0
    works.due[only] = 5.0  # callers gave up: nobody says so
    assert works.agenda.pop_due(1.0) is None
    assert works.agenda.first() == 5.0


def test_the_forgotten_and_the_empty_are_never_due() -> None:
    works = Clockwork()
    first, second = partitions(2)
    works.set(first, 1.0)
    works.set(second, math.inf)
    works.agenda.forget(first)
    assert works.agenda.first() == math.inf
    assert works.agenda.pop_due(10.0) is None


def test_partitions_that_got_nothing_are_not_asked_again() -> None:
    works = Clockwork()
    many = partitions(1000)
    for partition in many:
        works.set(partition, 10.0)
    works.agenda.first()
    works.asked = 0
    works.set(many[500], 9.0)
    assert works.agenda.first() == 9.0
    assert works.asked == 1


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 100)), max_size=50), st.floats(0, 100))
def test_what_is_due_comes_out_once_and_in_order(changes: list[tuple[int, float]], now: float) -> None:
    works = Clockwork()
    many = partitions(6)
    for index, due in changes:
        works.set(many[index], due)
        works.agenda.first()
    popped = []
    while (partition := works.agenda.pop_due(now)) is not None:
        popped.append(partition)
    due_now = [p for p in works.due if works.due[p] <= now]
    assert sorted(p.key for p in popped) == sorted(p.key for p in due_now)
    assert [works.due[p] for p in popped] == sorted(works.due[p] for p in popped)
