from __future__ import annotations

import pytest

from gristmill.streams.worker.probing import PARTS, probe


class Log:
    """What was noted, and what was called, in their order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, int]] = []

    def running(self, first: int, stop: int) -> None:
        self.entries.append(("running", first, stop))

    def idle(self) -> None:
        self.entries.append(("idle", 0, 0))

    def call(self, start: int, stop: int) -> None:
        self.entries.append(("call", start, stop))


def test_each_part_is_noted_before_it_is_called_by_the_numbers_of_its_rows() -> None:
    log = Log()
    probe([3, 4, 9], log.call, log)
    assert log.entries == [
        *(("running", 3, 4), ("call", 0, 1), ("idle", 0, 0)),
        *(("running", 4, 5), ("call", 1, 2), ("idle", 0, 0)),
        *(("running", 9, 10), ("call", 2, 3), ("idle", 0, 0)),
    ]


@pytest.mark.parametrize("rows", [1, 2, PARTS - 1, PARTS, PARTS + 1, 100, 1000])
def test_all_rows_are_in_a_few_parts_of_one_size(rows: int) -> None:
    log = Log()
    probe(range(rows), log.call, log)
    calls = [(start, stop) for what, start, stop in log.entries if what == "call"]
    assert [number for start, stop in calls for number in range(start, stop)] == list(range(rows))
    assert len(calls) <= PARTS
    assert len({stop - start for start, stop in calls[:-1]}) <= 1


def test_of_no_rows_there_is_nothing_to_call() -> None:
    log = Log()
    probe([], log.call, log)
    assert log.entries == []
