"""The counts of one handler: written by its batchers, read as ``Stats``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gristmill.batching.batch import Batch
from gristmill.model.histogram import SECONDS_BOUNDS, SIZE_BOUNDS, HistogramRecorder


class Ledger:
    """What happened, in plain counters; one for each handler, over all its event loops.

    Attributes:
        items: Items answered, by outcome.
        errors: Handler calls without a usable reply, by code.
        flushes: Batches formed, by reason.
        batches: Handler calls that ended.
    """

    def __init__(self) -> None:
        self.items: Counter[str] = Counter(ok=0, failed=0, cancelled=0, expired=0, rejected=0)
        self.errors: Counter[str] = Counter()
        self.flushes: Counter[str] = Counter()
        self.batches = 0
        self.batch_size = HistogramRecorder(SIZE_BOUNDS)
        self.batch_duration = HistogramRecorder(SECONDS_BOUNDS)
        self.queue_wait = HistogramRecorder(SECONDS_BOUNDS)

    def began(self, batch: Batch, now: float) -> None:
        """Count a batch that leaves the buffer at *now*; a retry has waited already."""
        self.flushes[batch.reason._value_] += 1  # .value, in a fifth of its time
        if batch.attempt > 1:
            return
        self._waited(batch.times, now)
        for piece in batch.slices:
            self.queue_wait.record(max(0.0, now - piece.time), len(piece.positions))

    def _waited(self, times: Sequence[float], now: float) -> None:
        if len(times) == 1:
            self.queue_wait.record(now - times[0])
        elif times:
            self.queue_wait.record_sorted_ages(times, now)

    def ended(self, size: int, seconds: float, code: str | None) -> None:
        """Count a handler call with *size* items that took *seconds*; *code* says why it gave no reply."""
        self.batches += 1
        self.batch_size.record(size)
        self.batch_duration.record(seconds)
        if code is not None:
            self.errors[code] += 1
