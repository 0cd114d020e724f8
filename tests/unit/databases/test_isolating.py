from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.databases.faults import RowRefused
from gristmill.databases.isolating import isolate
from gristmill.model.outcome import Failed


class Ledger:
    """A transaction in memory: rows count once their savepoint is kept."""

    def __init__(self, bad: set[int], keys: Sequence[int]) -> None:
        self.bad = bad
        self.keys = keys
        self.kept: list[int] = []
        self.open: list[int] | None = None
        self.tries = 0
        self.calls = 0

    async def savepoint(self) -> None:
        assert self.open is None
        self.open = []
        self.calls += 1

    async def roll_back_to(self) -> None:
        assert self.open is not None
        self.open = []
        self.calls += 1

    async def renew(self) -> None:
        assert self.open is not None
        self.kept += self.open
        self.open = []
        self.calls += 1

    async def release(self) -> None:
        await self.renew()
        self.open = None

    async def attempt(self, start: int, stop: int) -> list[Any]:
        assert self.open == []
        self.tries += 1
        self.open = list(range(start, stop))
        keys = [self.keys[row] for row in self.kept + self.open]
        if self.bad & set(self.open) or len(set(keys)) < len(keys):
            raise RowRefused(Failed(f"{start}", "bad"))
        return [f"row {row}" for row in self.open]


def run(ledger: Ledger, count: int, *, known_bad: bool = False) -> list[Any]:
    return asyncio.run(isolate(ledger, ledger.attempt, 0, count, known_bad=known_bad))


@given(st.integers(1, 70).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_the_bad_rows_fail_and_the_others_are_kept_in_order(case: tuple[int, set[int]]) -> None:
    count, bad = case
    ledger = Ledger(bad, range(count))
    outcomes = run(ledger, count)
    assert [isinstance(each, Failed) for each in outcomes] == [row in bad for row in range(count)]
    assert [each for each in outcomes if isinstance(each, str)] == [f"row {row}" for row in ledger.kept]
    assert ledger.kept == [row for row in range(count) if row not in bad]
    assert ledger.open is None
    if bad:
        assert ledger.tries <= 2 * len(bad) * (math.log2(count / len(bad)) + 2) + 1
        assert ledger.calls <= ledger.tries + 2
    else:
        assert ledger.tries == 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_of_rows_that_exclude_each_other_the_first_is_kept(keys: list[int]) -> None:
    ledger = Ledger(set(), keys)
    run(ledger, len(keys))
    assert ledger.kept == [row for row, key in enumerate(keys) if key not in keys[:row]]


def test_a_whole_that_is_known_to_be_bad_is_not_tried_again() -> None:
    ledger = Ledger({3}, range(8))
    run(ledger, 8, known_bad=True)
    again = Ledger({3}, range(8))
    run(again, 8)
    assert ledger.tries == again.tries - 1


@pytest.mark.parametrize("place", [0, 500, 999])
def test_one_bad_row_of_a_thousand_costs_about_log_n_tries(place: int) -> None:
    ledger = Ledger({place}, range(1000))
    run(ledger, 1000)
    assert ledger.tries <= 2 * math.ceil(math.log2(1000)) + 1


@pytest.mark.parametrize("every", [1, 2])
def test_in_a_storm_of_bad_rows_each_row_is_tried_once(every: int) -> None:
    ledger = Ledger(set(range(0, 1000, every)), range(1000))
    run(ledger, 1000)
    assert ledger.tries <= 1000 + 50


def test_a_storm_that_is_over_costs_no_more_than_itself() -> None:
    ledger = Ledger(set(range(100)), range(10_000))
    run(ledger, 10_000)
    assert ledger.tries <= 100 / 0.38 + 50
