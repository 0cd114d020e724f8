"""Run what was claimed: chunks in, one answer for each of their items out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.model.chunk import Chunk
from gristmill.model.lease import Claim
from gristmill.model.outcome import Failed, failed_from
from gristmill.model.settling import Answers
from gristmill.queue.coding import QueueCodec


@dataclass(slots=True)
class _Open:
    """A chunk whose items are being answered."""

    chunk: Chunk
    items: list[Any]
    failures: dict[int, Failed]
    values: list[Any] = field(default_factory=list)

    def left(self) -> list[int]:
        """Return the indices of the items that the handler is to see."""
        return [index for index in range(self.chunk.items) if index not in self.failures]


_Place = tuple[_Open, int]


async def answer(
    handler: BatchHandler[Any, Any],
    codec: QueueCodec,
    claim: Claim,
    *,
    transaction: Any = None,
    bisect: bool | None = None,
) -> list[Answers]:
    """Run *claim* and return what became of each of its chunks.

    Items of the same attempt go together in batches of at most ``max_size``;
    those with an ordering key only with others of their chunk.

    Raises:
        asyncio.CancelledError: The caller was cancelled; the handler is, too.
    """
    opened = [_Open(chunk, *codec.read(chunk)) for chunk in claim.chunks]
    for entry in opened:
        entry.values = [None] * len(entry.items)
    for places in _batches(opened, handler.cap):
        items = [entry.items[index] for entry, index in places]
        attempt = places[0][0].chunk.attempt + 1
        settled = await handler.run_batch(items, attempt=attempt, transaction=transaction, bisect=bisect)
        for (entry, index), value in zip(places, settled.values, strict=True):
            entry.values[index] = value
        for position, error in settled.errors.items():
            entry, index = places[position]
            entry.failures[index] = failed_from(error)
    return [_answers(codec, entry) for entry in opened]


def _batches(opened: Sequence[_Open], cap: int) -> Iterator[list[_Place]]:
    """Yield the places of each batch: whole chunks together while they fit, larger ones in pieces."""
    batch: list[_Place] = []
    last: Chunk | None = None
    for entry in opened:
        chunk = entry.chunk
        places = [(entry, index) for index in entry.left()]
        is_apart = last is not None and (
            last.attempt != chunk.attempt or last.key is not None or chunk.key is not None
        )
        if batch and (is_apart or len(batch) + len(places) > cap):
            yield batch
            batch = []
        last = chunk
        while len(batch) + len(places) > cap:
            yield places[:cap]
            places = places[cap:]
        batch += places
    if batch:
        yield batch


def _answers(codec: QueueCodec, entry: _Open) -> Answers:
    keeps = entry.chunk.keep_results
    if not entry.failures:
        values = codec.array(entry.values) if keeps else None
        if values is not None or not keeps:
            return Answers(values=values, failures={})
    texts, unusable = codec.each(entry.values, entry.failures)
    failures = {**entry.failures, **unusable}
    return Answers(values=texts if keeps else None, failures=failures)
