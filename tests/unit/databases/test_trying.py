from __future__ import annotations

import asyncio

import pytest

from gristmill.databases.faults import Interrupted
from gristmill.databases.trying import CONFLICTS, TRIES, pause_after, tried
from gristmill.errors import CommitUnknown, DatabaseConflict, DatabaseFailed, DatabaseUnavailable


class Step:
    """Is interrupted some times, then answers."""

    def __init__(self, error: DatabaseFailed, times: int) -> None:
        self.error, self.times, self.calls = error, times, 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.times:
            raise Interrupted(self.error, is_lost=False, was_answered=True)
        return "done"


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("error", "most"), [(DatabaseUnavailable("x"), TRIES), (DatabaseConflict("x"), CONFLICTS)]
)
async def test_a_step_is_done_again_so_often_and_no_more(error: DatabaseFailed, most: int) -> None:
    step = Step(error, most - 1)
    assert await tried(step, name="p", is_joined=False) == "done"
    assert step.calls == most
    step = Step(error, most)
    with pytest.raises(type(error)):
        await tried(step, name="p", is_joined=False)
    assert step.calls == most


@pytest.mark.parametrize(("error", "is_joined"), [(CommitUnknown("x"), False), (DatabaseConflict("x"), True)])
async def test_what_may_be_stored_or_is_not_ours_is_not_done_again(
    error: DatabaseFailed, *, is_joined: bool
) -> None:
    step = Step(error, 1)
    with pytest.raises(type(error)):
        await tried(step, name="p", is_joined=is_joined)
    assert step.calls == 1


def test_those_who_met_wait_for_a_chance_of_twice_as_long_each_time() -> None:
    conflict = DatabaseConflict("x")
    assert [pause_after(conflict, tries, 0.5) for tries in (1, 2, 3)] == [0.005, 0.01, 0.02]
    assert pause_after(conflict, 3, 0.0) == 0.0
    assert pause_after(DatabaseUnavailable("x"), 1, 0.5) == 0.0


@pytest.mark.looptime
async def test_pauses_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await tried(Step(DatabaseConflict("x"), 3), name="p", is_joined=False)
    assert loop.time() - began == pytest.approx(0.035)
