"""Read the counts and gauges of one handler into a ``Stats``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gristmill.batching.batcher import Batcher
from gristmill.batching.recipe import Recipe
from gristmill.model.stats import Stats


def take(recipe: Recipe, batchers: Sequence[Batcher]) -> Stats:
    """Sum up *batchers*, one for each event loop that called the handler."""
    ledger = recipe.ledger
    return Stats(
        name=recipe.name,
        pending=sum(len(b.coalescer) for b in batchers),
        pending_weight=math.fsum(b.coalescer.weight for b in batchers),
        running_batches=sum(len(b.running) for b in batchers),
        running_items=sum(len(batch) for b in batchers for batch in list(b.running)),
        slots=recipe.slots,
        oldest_age=max((_age(b) for b in batchers), default=0.0),
        batches=ledger.batches,
        items=dict(ledger.items),
        errors=dict(ledger.errors),
        flushes=dict(ledger.flushes),
        batch_size=ledger.batch_size.snapshot(),
        batch_duration=ledger.batch_duration.snapshot(),
        queue_wait=ledger.queue_wait.snapshot(),
        sizing=recipe.sizing(),
    )


def _age(batcher: Batcher) -> float:
    oldest = batcher.coalescer.oldest()
    return 0.0 if oldest == math.inf else max(0.0, batcher.clock() - oldest)
