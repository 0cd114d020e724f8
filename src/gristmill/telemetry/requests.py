"""Counts of HTTP answers by handler, route and status; needs no metrics library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from typing import Final

ROUTES: Final = frozenset({"single", "batch", "stream", "describe", "service"})
"""The routes that get a label of their own; every other name is counted as ``OTHER``."""

OTHER: Final = "other"


class RequestCounter:
    """Counts answers; for one event loop.

    What callers make up never becomes a label: a handler that is not known is
    counted as ``""``, a route outside ``ROUTES`` as ``"other"``, a status that
    HTTP does not have as 0. So the number of series is bounded by what the
    application itself declared.

    Args:
        handlers: The names that may be labels; asked at each count, so it may grow.
    """

    __slots__ = ("_counts", "_handlers")

    def __init__(self, handlers: Container[str]) -> None:
        self._handlers = handlers
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def count(self, handler: str, route: str, code: int) -> None:
        """Count one answer with HTTP status *code*; *handler* is ``""`` where a path has none."""
        known = handler if handler in self._handlers else ""
        self._counts[known, route if route in ROUTES else OTHER, code if 100 <= code <= 599 else 0] += 1  # noqa: PLR2004 - the range of HTTP

    def snapshot(self) -> Mapping[tuple[str, str, int], int]:
        """Return (handler, route, status) -> answers so far, sorted; later counts do not change it."""
        return dict(sorted(self._counts.items()))

    def __repr__(self) -> str:
        """Show how much was counted."""
        return f"RequestCounter(answers={self._counts.total()}, series={len(self._counts)})"
