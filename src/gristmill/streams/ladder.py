"""Which row killed the worker? Decided death by death, so that it costs only the guilty row.

Pure: told of each death, it says what to run next. A chunk whose worker died
is probed: the rows that were with the handler are run alone, in parts, and
the part that kills again likewise, until one row stands alone; a row that
kills a worker often enough is convicted, and the chunk is run whole without
it. Innocent rows run again, and that is all that befalls them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gristmill.streams.chunk import Chunk, Crash, Task
from gristmill.streams.engines.protocol import Died, Mark

MAX_DEATHS = 3
"""Deaths of a worker with one row alone, after which the row is convicted."""


@dataclass(slots=True)
class _Case:
    """A chunk whose worker died.

    Attributes:
        task: What to run when nothing is suspected any more.
        suspects: Ranges of rows that are to be probed; the guilty row is in one of them.
        deaths: Of workers in the first of them, if it is one row alone.
        unexplained: Deaths with no row at the handler, one after the other.
        size: Rows of the batch in which the worker died last.
    """

    task: Task
    suspects: list[tuple[int, int]] = field(default_factory=list)
    deaths: int = 0
    unexplained: int = 0
    size: int = 0


class Ladder:
    """The cases under way.

    Args:
        max_deaths: As ``MAX_DEATHS``.
    """

    def __init__(self, max_deaths: int = MAX_DEATHS) -> None:
        self._max_deaths = max_deaths
        self._cases: dict[int, _Case] = {}

    def died(self, died: Died) -> Task | None:
        """Return what to run after a death; None if nothing helps any more.

        Where no row was with the handler, the chunk is run again as a whole,
        ``max_deaths`` times in all. Where rows kill a worker together and not
        alone (they need too much memory), their batches are halved.
        """
        number = died.task.chunk.number
        case = self._cases.setdefault(number, _Case(replace(died.task, only=None)))
        probed = died.task.only
        if probed is None:
            if died.mark is None:
                case.unexplained += 1
                return case.task if case.unexplained < self._max_deaths else None
            if case.size == 1:
                return None  # a row alone, which did not kill when it was probed
            size = died.mark.stop - died.mark.first
            if case.size:
                case.task = replace(case.task, batch_size=max(1, min(size, case.size) // 2))
            case.size = size
            case.suspects = [(died.mark.first, died.mark.stop)]
            case.deaths = 0
            return self._next(case)
        first, stop = probed
        if stop - first > 1:
            part = _part(probed, died.mark)
            first, end = part or (first, (first + stop) // 2)
            case.suspects[:1] = [(first, end), (end, stop)] if end < stop else [(first, end)]
            if part is None or end - first > 1:
                return self._next(case)
        case.deaths += 1
        if case.deaths < self._max_deaths:
            return self._next(case)
        crash = Crash(
            code="deadline_exceeded" if died.is_timeout else "crashed",
            message=died.reason,
            deaths=case.deaths,
        )
        case.task = replace(case.task, convicted={**case.task.convicted, first: crash})
        case.suspects = []
        case.deaths = case.unexplained = case.size = 0
        return self._next(case)

    def survived(self, task: Task) -> Task:
        """Return what to run after a probe that went well."""
        case = self._cases[task.chunk.number]
        del case.suspects[:1]
        case.deaths = 0
        return self._next(case)

    def _next(self, case: _Case) -> Task:
        if not case.suspects:
            return case.task
        return replace(case.task, only=case.suspects[0])

    def close(self, chunk: Chunk) -> None:
        """Forget *chunk*: it ran."""
        self._cases.pop(chunk.number, None)


def _part(probed: tuple[int, int], mark: Mark | None) -> tuple[int, int] | None:
    """Return which of the rows *probed* were with the handler when it died; None if nobody knows."""
    if mark is None or (mark.first, mark.stop) == probed:
        return None
    return max(probed[0], mark.first), min(probed[1], mark.stop)
