"""Run what was claimed: chunks in, one answer for each of their items out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gristmill.batching.handler import BatchHandler
from gristmill.batching.reply import Settled
from gristmill.errors import HandlerFailed, StoreError
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

    def left(self) -> Sequence[int]:
        """Return the indices of the items that the handler is to see."""
        if not self.failures:
            return range(self.chunk.items)
        return [index for index in range(self.chunk.items) if index not in self.failures]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some items of one chunk in one batch; mostly all of them, and then never looked at one by one."""

    entry: _Open
    indices: Sequence[int]

    def items(self) -> list[Any]:
        """Return the items."""
        found = self.entry.items
        if isinstance(self.indices, range):
            return found[self.indices.start : self.indices.stop]
        return [found[index] for index in self.indices]

    def take(self, values: list[Any]) -> None:
        """Take the values of the items, in their order."""
        if isinstance(self.indices, range):
            self.entry.values[self.indices.start : self.indices.stop] = values
            return
        for index, value in zip(self.indices, values, strict=True):
            self.entry.values[index] = value


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
    for pieces in _batches(opened, handler.cap):
        items = [item for piece in pieces for item in piece.items()] if len(pieces) > 1 else pieces[0].items()
        attempt = pieces[0].entry.chunk.attempt + 1
        settled = await handler.run_batch(items, attempt=attempt, transaction=transaction, bisect=bisect)
        _hand_out(pieces, settled)
    return [_answers(codec, entry) for entry in opened]


class Undone(Exception):
    """Rolls a transaction back."""


def undo_if_all_failed(claim: Claim, answers: Sequence[Answers]) -> None:
    """Leave the transaction by ``Undone`` where nothing that the handler wrote may stay."""
    if sum(len(each.failures) for each in answers) == claim.items:
        raise Undone


def all_failed(claim: Claim, error: StoreError) -> list[Answers]:
    """Return the answers to *claim* where the transaction it ran in was refused by *error*."""
    raised = HandlerFailed(f"the transaction of the batch was refused: {error}")
    raised.__cause__ = error.__cause__ or error
    failed = failed_from(raised)
    return [
        Answers(values=None, failures=dict.fromkeys(range(chunk.items), failed)) for chunk in claim.chunks
    ]


def _batches(opened: Sequence[_Open], cap: int) -> Iterator[list[_Piece]]:
    """Yield the pieces of each batch: whole chunks together while they fit, larger ones cut."""
    batch: list[_Piece] = []
    size = 0
    last: Chunk | None = None
    for entry in opened:
        chunk, left = entry.chunk, entry.left()
        is_apart = last is not None and (
            last.attempt != chunk.attempt or last.key is not None or chunk.key is not None
        )
        if batch and (is_apart or size + len(left) > cap):
            yield batch
            batch, size = [], 0
        last = chunk
        while len(left) > cap:
            yield [_Piece(entry, left[:cap])]
            left = left[cap:]
        if left:
            batch.append(_Piece(entry, left))
            size += len(left)
    if batch:
        yield batch


def _hand_out(pieces: Sequence[_Piece], settled: Settled) -> None:
    start = 0
    for piece in pieces:
        stop = start + len(piece.indices)
        piece.take(settled.values[start:stop])
        for position, error in settled.errors.items():
            if start <= position < stop:
                piece.entry.failures[piece.indices[position - start]] = failed_from(error)
        start = stop


def _answers(codec: QueueCodec, entry: _Open) -> Answers:
    keeps = entry.chunk.keep_results
    if not entry.failures:
        values = codec.array(entry.values) if keeps else None
        if values is not None or not keeps:
            return Answers(values=values, failures={})
    texts, unusable = codec.each(entry.values, entry.failures)
    failures = {**entry.failures, **unusable}
    return Answers(values=texts if keeps else None, failures=failures)
