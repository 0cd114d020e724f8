from __future__ import annotations

from gristmill.streams.chunk import Chunk, Counts, Result
from gristmill.streams.report import Report, Stalls
from gristmill.streams.speed import Speedometer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def report(clock: Clock, **fields: int) -> Report:
    return Report(total=1000, counts=Counts(), stalls=Stalls(clock), **fields)


def test_waits_are_counted_by_what_was_waited_for() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    for reason, seconds in (("sink", 2.0), ("workers", 3.0), ("sink", 2.0)):
        with stalls.waiting(reason):
            clock.now += seconds
    assert stalls.seconds == {"workers": 3.0, "order": 0.0, "sink": 4.0, "source": 0.0}
    assert stalls.most == "sink"


def test_a_wait_that_ends_in_an_error_counts() -> None:
    clock = Clock()
    stalls = Stalls(clock)
    try:
        with stalls.waiting("source"):
            clock.now += 1.0
            raise ValueError
    except ValueError:
        pass
    assert stalls.seconds["source"] == 1.0


def test_what_is_written_is_committed_later() -> None:
    found = report(Clock())
    found.seen(Result(number=0, counts=Counts(read=5), batches=2, seconds=0.5, batch_size=3))
    found.seen(Result(number=1, counts=Counts(read=1)))
    found.written(Chunk(number=0, source=0, start=0, end=9, weight=9))
    assert (found.rows, found.batches, found.seconds, found.batch_size) == (6, 2, 0.5, 3)
    assert (found.weight, found.committed) == (9, 0)
    found.commit()
    assert found.committed == 9


def test_speed_is_that_of_late_and_of_this_process() -> None:
    clock = Clock()
    speed = Speedometer(clock)
    found = report(clock, start=500, weight=500, committed=500)
    speed.look(found)
    assert (speed.rows, speed.weight, speed.eta(found)) == (0.0, 0.0, None)
    for _ in range(5):
        clock.now += 1.0
        found.rows += 20
        found.weight += 10
        found.commit()
        speed.look(found)
        speed.look(found)  # as often as one likes
    assert (speed.rows, speed.weight, speed.seconds) == (20.0, 10.0, 5.0)
    assert speed.eta(found) == 45.0
    for _ in range(40):
        clock.now += 1.0
        found.rows += 2
        found.weight += 1
        found.commit()
        speed.look(found)
    assert (speed.rows, speed.weight) == (2.0, 1.0)
    found.total = None
    assert speed.eta(found) is None
