from __future__ import annotations

import signal

import pytest

from gristmill.streams.chunk import Chunk, Task
from gristmill.streams.engines.local_main import LOST_SOCKET, NO_MEMORY
from gristmill.streams.engines.local_rules import (
    ATTEMPTS,
    Death,
    Held,
    Verdict,
    allot,
    blame,
    frozen,
    never_started,
    overdue,
    reason_of,
)
from gristmill.streams.engines.marks import Note
from gristmill.streams.engines.protocol import Died, Mark

TASK = Task(chunk=Chunk(number=0, source=0, start=0, end=1))
MARK = Mark(first=3, stop=4)


def death(*, taken: int = 1, answered: int = 0, verdict: Verdict | None = None) -> Death:
    return Death(end="ended", verdict=verdict, taken=taken, answered=answered, mark=MARK)


@pytest.mark.parametrize(
    ("waiting", "loads", "starting", "order"),
    [
        (0, [0, 0], 0, []),
        (1, [1, 0], 0, [1]),
        (2, [0, 0], 0, [0, 1]),
        (4, [0, 0], 0, [0, 1, 0, 1]),
        (9, [0, 0], 0, [0, 1, 0, 1]),
        (9, [2, 2], 0, []),
        (3, [0, 1, 2], 0, [0, 0, 1]),
        (2, [0], 1, [0]),  # the other is for the one that starts
        (2, [1], 2, []),
        (3, [1], 2, [0]),
    ],
)
def test_idle_workers_get_the_first_tasks(waiting: int, loads: list[int], starting: int, order: list[int]):
    assert allot(waiting, loads, starting) == order


def test_the_task_that_a_worker_had_read_died_with_it():
    assert blame(death(), Held(TASK)) == Died(task=TASK, reason="ended", is_timeout=False, mark=MARK)


def test_a_task_that_was_not_read_is_blamed_for_its_third_worker_alone():
    held = Held(TASK)
    found = [blame(death(taken=1, answered=1), held) for _ in range(ATTEMPTS)]
    assert found[:-1] == [None, None]
    assert found[-1] == Died(
        task=TASK, reason="ended before it had read the task, 3 times", is_timeout=False, mark=None
    )


def test_a_verdict_says_why_the_task_died():
    verdict = overdue(Note(mark=MARK, since=0), 2, 2_000_000_000, 0)
    assert blame(death(verdict=verdict), Held(TASK)) == Died(
        task=TASK,
        reason="was ended: one call of the handler took more than 2 s",
        is_timeout=True,
        mark=MARK,
    )


def test_a_verdict_on_a_task_that_was_answered_after_all_does_not_touch_the_next():
    verdict = overdue(Note(mark=MARK, since=0), 2, 2_000_000_000, 0)
    assert blame(death(taken=2, answered=1, verdict=verdict), Held(TASK)) is None


def test_a_call_within_its_timeout_and_no_call_at_all_are_not_overdue():
    assert overdue(Note(mark=MARK, since=0), 2, 1_999_999_999, 0) is None
    assert overdue(None, 2, 9_000_000_000, 0) is None


def test_a_frozen_worker_is_ended_after_the_timeout():
    assert frozen(1.9, 2, 0) is None
    verdict = frozen(2, 2, 5)
    assert verdict is not None
    assert (verdict.is_timeout, verdict.mark, verdict.answered) == (True, None, 5)
    assert "SIGSTOP" in verdict.reason


def test_workers_that_do_not_start_hint_at_the_guard_that_scripts_need():
    died = never_started("exited with code 1", Held(TASK))
    assert died.reason.startswith("exited with code 1, before it took a task, 3 times in a row")
    assert "__main__" in died.reason


@pytest.mark.parametrize(
    ("code", "rss", "reason"),
    [
        (-signal.SIGKILL, 812_400_000, "was killed by SIGKILL (out of memory?) at 812 MB"),
        (-signal.SIGKILL, 0, "was killed by SIGKILL (out of memory?)"),
        (-signal.SIGSEGV, 812_400_000, "was killed by SIGSEGV"),
        (0, 5, "exited with code 0"),
        (NO_MEMORY, 5, "ran out of memory"),
    ],
)
def test_an_end_is_told_for_people(code: int, rss: int, reason: str):
    assert reason_of(code, rss) == reason


def test_a_lost_pipe_is_told_for_people():
    assert "file descriptors" in reason_of(LOST_SOCKET, 0)
