"""A handler that costs time on a clock of its own, and samples for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gristmill import Failed, batch
from gristmill.batching.handler import BatchHandler
from gristmill.testing.handler_simulator import Cost
from gristmill.tuning.measuring import Measurement, SizeRuns, measure
from gristmill.tuning.passes import Passes
from gristmill.tuning.sample import Sample


class Bench:
    """A handler and the clock that it moves.

    Attributes:
        now: What the clock reads, in seconds.
        batches: The items of each batch that was run.
        handler: Costs what *cost* says; items below 0 fail.
    """

    def __init__(self, cost: Cost) -> None:
        self.now = 0.0
        self.batches: list[list[int]] = []

        @batch
        async def simulated(items: list[int]) -> list[int | Failed]:
            self.now += cost(len(items), len(self.batches))
            self.batches.append(items)
            return [Failed("no", code="negative") if item < 0 else item for item in items]

        self.handler: BatchHandler[int, int] = simulated

    def measure(
        self,
        sizes: Sequence[int],
        *,
        rows: Sequence[Any] = range(1000),
        seconds: float = 60.0,
        **options: Any,
    ) -> Measurement:
        """Measure the handler on its own clock."""
        passes = Passes(sizes, seconds=seconds, repeats=options.pop("repeats", 5), chance=random.Random(1))
        sample = Sample(list(rows), lambda row: row)
        return asyncio.run(measure(self.handler, sample, passes, clock=lambda: self.now, **options))


@pytest.fixture
def bench() -> Callable[[Cost], Bench]:
    """Return what makes a bench of a cost."""
    return Bench


@pytest.fixture
def measured() -> Callable[[Cost, Sequence[int]], Measurement]:
    """Return what makes a measurement of a cost: five runs of each size."""

    def make(cost: Cost, sizes: Sequence[int], **facts: Any) -> Measurement:
        runs = [SizeRuns(size, tuple(cost(size, index) for index in range(5))) for size in sizes]
        return Measurement(tuple(runs), **facts)

    return make
