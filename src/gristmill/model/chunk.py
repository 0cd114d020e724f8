"""Chunks: items at rest. What a store keeps in one row, and how such rows are cut, split and thinned out.

A chunk holds items of one job that share queue, priority, due time, ordering
key and attempt. Its body is the JSON array of the items, byte for byte as
they came; their places in the job are run-length coded, so that items keep
their identity through every split and retry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeAlias

import msgspec

Runs: TypeAlias = tuple[tuple[int, int], ...]
"""Places of items in their job, as (first, count) pairs in the order of the items."""

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_RUNS = msgspec.json.Decoder(Runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    """A chunk to be stored.

    Attributes:
        job: The job of all its items.
        places: Which items of the job they are.
        items: How many they are.
        body: The JSON array of the items.
        key: Ordering key: chunks with the same key run one after another; None has no order.
        line: Where it stands in the line of its key, lowest first; 0 for the end of it.
        attempt: How often the handler has said no to these items.
        crashes: How often a lease on them died; above 0 the chunk runs alone. Halves of a split begin at 1.
        delay: Seconds from now, on the store's clock, until it is due.
        code: Why the items are dead; None for items that are to run.
        error: What the caller was told of the first of them, if they are dead.
    """

    job: str
    places: Runs
    items: int
    body: bytes
    key: str | None = None
    line: int = 0
    attempt: int = 0
    crashes: int = 0
    delay: float = 0.0
    code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk as a store hands it out.

    Attributes:
        id: Ascending in the order of storing; unique in its store.
        queue: The handler's name.
        line: Where it stands in the line of its key: the id under which its items were first stored.
        keep_results: Whether values are stored for this job.

    The others are those of ``NewChunk``.
    """

    id: int
    queue: str
    job: str
    places: Runs
    items: int
    body: bytes
    key: str | None
    line: int
    attempt: int
    crashes: int
    keep_results: bool = True

    def raws(self) -> list[bytes]:
        """Return the JSON text of each item."""
        return [bytes(raw) for raw in _RAWS.decode(self.body)]


def array(texts: Iterable[bytes]) -> bytes:
    """Return the JSON array of items whose JSON is *texts*."""
    return b"[" + b",".join(texts) + b"]"


def each_place(places: Runs) -> Iterator[int]:
    """Yield the places one by one, in the order of the items."""
    for first, number in places:
        yield from range(first, first + number)


def runs_of(places: Iterable[int]) -> Runs:
    """Return *places* run-length coded, in their order.

    >>> runs_of([4, 5, 6, 2, 9])
    ((4, 3), (2, 1), (9, 1))
    """
    found: list[tuple[int, int]] = []
    first = following = -1
    for place in places:
        if place != following:
            if following >= 0:
                found.append((first, following - first))
            first = place
        following = place + 1
    if following >= 0:
        found.append((first, following - first))
    return tuple(found)


def runs_to_text(places: Runs) -> str:
    """Return *places* as JSON text, for a column of a store."""
    return msgspec.json.encode(places).decode()


def runs_from_text(text: str | bytes) -> Runs:
    """Return what ``runs_to_text`` wrote."""
    return _RUNS.decode(text)


def again(chunk: Chunk, **changes: Any) -> NewChunk:
    """Return *chunk* as one to be stored anew, with *changes*."""
    same = NewChunk(
        job=chunk.job,
        places=chunk.places,
        items=chunk.items,
        body=chunk.body,
        key=chunk.key,
        line=chunk.line,
        attempt=chunk.attempt,
        crashes=chunk.crashes,
    )
    return replace(same, **changes)


def pick(chunk: Chunk, indices: Sequence[int], **changes: Any) -> NewChunk:
    """Return a chunk of some of the items, by their *indices* in *chunk*, ascending; with *changes*."""
    places = list(each_place(chunk.places))
    raws = chunk.raws()
    return again(
        chunk,
        places=runs_of(places[index] for index in indices),
        items=len(indices),
        body=array(raws[index] for index in indices),
        **changes,
    )


def cut(
    texts: Iterable[bytes],
    *,
    job: str,
    max_items: int,
    max_bytes: int,
    key: str | None = None,
    places: Iterable[int] | None = None,
) -> Iterator[NewChunk]:
    """Cut the items of a job, as JSON *texts*, into chunks of at most *max_items* and about *max_bytes*.

    One item larger than *max_bytes* is a chunk of its own. Lazy: one chunk is in memory at a time.

    Args:
        texts: JSON of each item.
        job: Of all of them.
        max_items: Of one chunk, at least 1.
        max_bytes: Of the body of one chunk.
        key: Their ordering key.
        places: The place of each item in the job; counted from 0 by default.
    """
    held: list[bytes] = []
    here: list[int] = []
    size = 0
    for place, text in zip(count() if places is None else places, texts, strict=False):
        if held and (len(held) >= max_items or size + len(text) > max_bytes):
            yield _whole(job, here, held, key)
            held, here, size = [], [], 0
        held.append(text)
        here.append(place)
        size += len(text) + 1
    if held:
        yield _whole(job, here, held, key)


def _whole(job: str, places: Sequence[int], held: list[bytes], key: str | None) -> NewChunk:
    return NewChunk(job=job, places=runs_of(places), items=len(held), body=array(held), key=key)
