"""A probe: rows go to the handler part by part, so that a death tells which part it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gristmill.streams.engines.protocol import Marker

PARTS = 16
"""Handler calls of one probe at most: each costs what a call costs, and spares the start of a worker."""


def probe(numbers: Sequence[int], call: Callable[[int, int], object], marker: Marker) -> None:
    """Call the handler with the rows *numbers* of a chunk, in parts of one size.

    Args:
        numbers: Ascending.
        call: Calls it with the rows at [start, stop) of *numbers*; raises nothing that a row is to blame for.
        marker: Is told which rows are with the handler.
    """
    size = -(-len(numbers) // PARTS) or 1
    for start in range(0, len(numbers), size):
        stop = min(start + size, len(numbers))
        marker.running(numbers[start], numbers[stop - 1] + 1)
        call(start, stop)
        marker.idle()
