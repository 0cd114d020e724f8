"""What the local pool decides, with no process in sight: who runs what, who must end, what died."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gristmill.batching.executors.child_process import describe_end
from gristmill.streams.chunk import Task
from gristmill.streams.engines import local_main
from gristmill.streams.engines.marks import Note
from gristmill.streams.engines.protocol import Died, Mark

ATTEMPTS = 3
"""Workers that may die over nothing before a task has to answer for it."""

_SIGKILL = -9
_MEGABYTE = 1_000_000


@dataclass(slots=True)
class Held:
    """A task that a pool has taken and not answered.

    Attributes:
        task: Which.
        returns: How often a worker died with it first in line before it was seen to take it.
    """

    task: Task
    returns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why the pool killed a worker.

    Attributes:
        reason: For people.
        answered: How many tasks it had answered at that moment.
        is_timeout: It took too long.
        mark: The handler call that did.
    """

    reason: str
    answered: int
    is_timeout: bool = False
    mark: Mark | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """What is known of a worker that has ended.

    Attributes:
        end: How, for people.
        verdict: Why the pool killed it, if it did.
        taken: How many tasks it had read.
        answered: How many it had answered.
        mark: What was with the handler.
    """

    end: str
    verdict: Verdict | None
    taken: int
    answered: int
    mark: Mark | None


def allot(waiting: int, loads: Sequence[int], starting: int) -> list[int]:
    """Return which workers get the next tasks, in order; those with nothing first.

    Args:
        waiting: Tasks in line.
        loads: How many tasks each ready worker has.
        starting: Workers that have not started; a task is kept for each, before one goes ahead to a busy one.
    """
    idle = [index for index, load in enumerate(loads) if load == 0][:waiting]
    ahead = [*idle, *(index for index, load in enumerate(loads) if load == 1)]
    return idle + ahead[: max(0, waiting - len(idle) - starting)]


def overdue(note: Note | None, timeout: float, now: int, answered: int) -> Verdict | None:
    """Return the verdict on a worker whose handler call takes longer than *timeout*, at *now* nanoseconds."""
    if note is None or note.remaining(timeout, now) > 0:
        return None
    reason = f"was ended: one call of the handler took more than {timeout:g} s"
    return Verdict(reason=reason, answered=answered, is_timeout=True, mark=note.mark)


def frozen(seconds: float, timeout: float, answered: int) -> Verdict | None:
    """Return the verdict on a worker that somebody stopped *seconds* ago."""
    if seconds < timeout:
        return None
    reason = f"was ended: it had been stopped (SIGSTOP) for more than {timeout:g} s"
    return Verdict(reason=reason, answered=answered, is_timeout=True)


def blame(death: Death, first: Held) -> Died | None:
    """Return how *first*, which the worker had first in line, died; None: it runs elsewhere, unblamed.

    A task that the worker had read is the one. One that it had not may still
    be what killed it (too large to be read), so it is only trusted so often.
    """
    verdict = death.verdict
    if death.taken == death.answered:
        first.returns += 1
        if first.returns < ATTEMPTS:
            return None
        reason = f"{death.end} before it had read the task, {ATTEMPTS} times"
        return Died(task=first.task, reason=reason, is_timeout=False, mark=None)
    if verdict is None:
        return Died(task=first.task, reason=death.end, is_timeout=False, mark=death.mark)
    if verdict.answered != death.answered:  # killed for the task before, which it answered at the last moment
        return None
    return Died(task=first.task, reason=verdict.reason, is_timeout=verdict.is_timeout, mark=verdict.mark)


def never_started(end: str, first: Held) -> Died:
    """Return how *first* answers for workers that end, the last as *end* says, before they take any task."""
    reason = (
        f"{end}, before it took a task, {ATTEMPTS} times in a row; "
        'if the program is a script, what it does must be under `if __name__ == "__main__":`'
    )
    return Died(task=first.task, reason=reason, is_timeout=False, mark=None)


def reason_of(code: int | None, rss: int) -> str:
    """Say how a worker ended that nobody asked to.

    Args:
        code: Exit code, negative for a signal.
        rss: Bytes of memory it was last seen with; 0: unknown.
    """
    if code == local_main.LOST_SOCKET:
        return "lost the pipe to its parent (something in it closed file descriptors that are not its own)"
    if code == local_main.NO_MEMORY:
        return "ran out of memory"
    end = describe_end(code)
    if code == _SIGKILL:
        end += " (out of memory?)" + (f" at {rss / _MEGABYTE:.0f} MB" if rss else "")
    return end
