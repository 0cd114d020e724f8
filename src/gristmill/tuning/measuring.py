"""Run a handler at the sizes of some passes, on items of a sample, and keep the times."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.batching.reply import Settled
from gristmill.errors import (
    BatchCancelled,
    BatchError,
    DeadlineExceeded,
    HandlerFailed,
    ReplyMismatch,
    WorkerDied,
)
from gristmill.tuning.passes import Passes, Turn
from gristmill.tuning.sample import Sample
from gristmill.tuning.words import items

_WHOLE = (HandlerFailed, ReplyMismatch, WorkerDied, BatchCancelled, DeadlineExceeded)
_TENTH = 10


@dataclass(frozen=True, slots=True)
class SizeRuns:
    """What was measured at one size.

    Attributes:
        size: Items of each batch.
        seconds: What each run took, in their order; one or more.
        failed: Items that failed, over all runs.
    """

    size: int
    seconds: tuple[float, ...]
    failed: int = 0

    @property
    def median(self) -> float:
        """Seconds that half of the batches needed."""
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        """Seconds below which one batch in ten was."""
        return min(self._tenths()[0], self.median)  # interpolating equal numbers may round up

    @property
    def high(self) -> float:
        """Seconds above which one batch in ten was."""
        return max(self._tenths()[-1], self.median)

    @property
    def throughput(self) -> float:
        """Items a second, while batches of this size run one after another."""
        return self.size / self.median

    def _tenths(self) -> list[float]:
        if len(self.seconds) == 1:
            return [*self.seconds]
        return statistics.quantiles(self.seconds, n=_TENTH, method="inclusive")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of one handler.

    Attributes:
        sizes: In the order of the sizes.
        left_out: Sizes for which there was no time.
        elapsed: Seconds from the start to the end, warm-up included.
        codes: Why items failed: code -> how many, warm-up not included.
    """

    sizes: tuple[SizeRuns, ...]
    left_out: tuple[int, ...] = ()
    elapsed: float = 0.0
    codes: tuple[tuple[str, int], ...] = ()

    @property
    def items(self) -> int:
        """Items that were measured."""
        return sum(each.size * len(each.seconds) for each in self.sizes)

    @property
    def failed(self) -> int:
        """Items of them that failed."""
        return sum(each.failed for each in self.sizes)


async def measure(
    handler: BatchHandler[Any, Any],
    sample: Sample,
    passes: Passes,
    *,
    clock: Callable[[], float] = time.perf_counter,
    watch: Callable[[Turn, float], None] | None = None,
) -> Measurement:
    """Run *handler* for real, one batch after another, and return what that took.

    Each batch goes the way of the queue's batches: through the handler's
    executor, past its buffer and its ``max_size``; its ``timeout`` holds.

    Args:
        handler: It is closed on this loop at the end.
        sample: Where the items come from.
        passes: Which size when; used up.
        clock: Seconds, for every time that is taken.
        watch: Told of each turn before it runs, with the seconds since the start.

    Raises:
        BatchError: A whole batch failed: the handler raised, broke its contract or took too long.
        ConfigurationError: The handler is too slow for the time.
    """
    runs: dict[int, list[float]] = {}
    failed: Counter[int] = Counter()
    codes: Counter[str] = Counter()
    start = clock()
    async with handler:
        while (turn := passes.next(clock() - start)) is not None:
            batch = sample.take(turn.size)
            if watch is not None:
                watch(turn, clock() - start)
            began = clock()
            settled = await handler.run_batch(batch, bisect=False)
            seconds = clock() - began
            _check(settled, turn.size)
            passes.ended(turn, seconds)
            if turn.counts:
                runs.setdefault(turn.size, []).append(seconds)
                failed[turn.size] += len(settled.errors)
                codes.update(getattr(error, "code", "handler_error") for error in settled.errors.values())
    return Measurement(
        tuple(SizeRuns(size, tuple(runs[size]), failed[size]) for size in sorted(runs)),
        tuple(passes.left_out),
        clock() - start,
        tuple(codes.most_common()),
    )


def _check(settled: Settled, size: int) -> None:
    """Raise what ended a whole batch."""
    if len(settled.errors) < size:
        return
    error = settled.errors[0]
    if isinstance(error, BatchError) and isinstance(error, _WHOLE):
        raise type(error)(f"a batch of {items(size)} failed: {error}") from (error.__cause__ or error)
