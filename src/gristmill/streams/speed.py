"""How fast a run is of late, and when it will end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gristmill.streams.report import Report

_SECONDS = 15.0
"""What "of late" is: long enough that a commit more or less does not show."""


class Speedometer:
    """Measures rows and bytes that were committed within the last seconds.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._seen: deque[tuple[float, int, int]] = deque([(self._began, -1, 0)])

    def look(self, report: Report) -> None:
        """Take note of *report*."""
        if self._seen[-1][1] < 0:
            self._seen[0] = (self._began, report.start, 0)
        if report.committed != self._seen[-1][1]:
            now = self._clock()
            self._seen.append((now, report.committed, report.rows))
            while len(self._seen) > 2 and now - self._seen[1][0] > _SECONDS:  # noqa: PLR2004 - two points make a line
                self._seen.popleft()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._clock() - self._began

    @property
    def rows(self) -> float:
        """Rows a second."""
        return self._slope(2)

    @property
    def weight(self) -> float:
        """Bytes a second."""
        return self._slope(1)

    def _slope(self, column: int) -> float:
        first, last = self._seen[0], self._seen[-1]
        seconds = last[0] - first[0]
        return (last[column] - first[column]) / seconds if seconds > 0 else 0.0

    def eta(self, report: Report) -> float | None:
        """Return the seconds that are left; None if nobody can tell."""
        if report.total is None or not self.weight:
            return None
        return max(0.0, (report.total - report.committed) / self.weight)
