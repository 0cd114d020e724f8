"""What to record instead of outcomes that a store will not take: the largest values fail first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from gristmill.model.chunk import Chunk, NewChunk, array, each_place, pick, runs_of
from gristmill.model.lease import Claim, NewResult, ResultKind, Settlement
from gristmill.model.outcome import Failed
from gristmill.model.settling import code_of, failures_of, reason_of

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def fail_largest(claim: Claim, settlement: Settlement, count: int, failed: Failed) -> Settlement | None:
    """Return *settlement* with the *count* largest of its values *failed*, for good; None if it has no more.

    What a store refuses of outcomes is mostly that a value is too large. Whoever doubles *count* as long as
    the store refuses finds the least that has to fail, but for a factor of two, in some log2(n) tries.

    Args:
        claim: What ran.
        settlement: What became of it.
        count: At least 1.
        failed: What is told of those values.
    """
    sizes = sorted(
        (len(value), number, index)
        for number, result in enumerate(settlement.results)
        for index, value in enumerate(_values(result))
    )
    if count >= len(sizes):
        return None
    largest: dict[int, set[int]] = {}
    for _, number, index in sizes[-count:]:
        largest.setdefault(number, set()).add(index)
    chunks: list[NewChunk] = list(settlement.chunks)
    results: list[NewResult] = []
    for number, result in enumerate(settlement.results):
        if number not in largest:
            results.append(result)
            continue
        places = list(each_place(result.places))
        results += _without(result, places, largest[number])
        bad = {places[index] for index in largest[number]}
        for dead, told in _dead(claim, result.job, bad, failed):
            chunks.append(dead)
            results.append(told)
    return Settlement(lease=settlement.lease, chunks=tuple(chunks), results=tuple(results))


def _values(result: NewResult) -> list[msgspec.Raw]:
    is_value = result.kind is ResultKind.SUCCEEDED and result.body is not None
    return _RAWS.decode(result.body or b"[]") if is_value else []


def _without(result: NewResult, places: list[int], bad: Collection[int]) -> Iterator[NewResult]:
    """Yield *result* without the items at the indices *bad*, if others are left."""
    good = [
        (place, value)
        for i, (place, value) in enumerate(zip(places, _values(result), strict=True))
        if i not in bad
    ]
    if good:
        yield NewResult(
            job=result.job,
            kind=result.kind,
            places=runs_of(place for place, _ in good),
            items=len(good),
            body=array(bytes(value) for _, value in good),
        )


def _dead(
    claim: Claim, job: str, places: Collection[int], failed: Failed
) -> Iterator[tuple[NewChunk, NewResult]]:
    """Yield the items of *job* at *places* as dead ones, with the results that their callers get."""
    for chunk in claim.chunks:
        if chunk.job == job:
            here = [index for index, place in enumerate(each_place(chunk.places)) if place in places]
            if here:
                yield _dead_chunk(chunk, here, failed)


def _dead_chunk(chunk: Chunk, indices: list[int], failed: Failed) -> tuple[NewChunk, NewResult]:
    attempt = chunk.attempt + 1
    dead = pick(chunk, indices, attempt=attempt, code=code_of(failed), error=reason_of(failed))
    return dead, failures_of(chunk, dead.places, [failed] * len(indices), attempt)
