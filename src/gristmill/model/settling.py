"""What becomes of a claim, decided from its outcomes: what is done, what runs again, what is dead.

Pure: the caller brings the outcomes, the policy and the chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gristmill.model.chunk import Chunk, NewChunk, Runs, again, array, each_place, pick, runs_of
from gristmill.model.lease import Claim, NewResult, ResultKind, Settlement
from gristmill.model.outcome import Failed
from gristmill.model.retry import Retry
from gristmill.model.texts import short_code

DEFAULT_RETRY = Retry(attempts=5, base=1.0, cap=600.0)
"""For handlers without a ``retry`` of their own."""

_TRIED_AGAIN = frozenset(("handler_error", "worker_died"))
"""Codes of failures that say nothing of the item, and so are tried again whatever ``retryable`` says."""

CRASHED = "crashed"
"""The code of items whose lease died too often."""


class Failure(msgspec.Struct, frozen=True):
    """What is kept of an item that failed for good.

    Attributes:
        code: The stable slug.
        message: What callers are told; of an exception nothing but its code is.
        attempts: How often the handler saw it.
    """

    code: str
    message: str
    attempts: int


_FAILURES = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How often items are tried.

    Attributes:
        retry: Attempts, and the waits between them.
        max_crashes: Deaths of a lease on a single item alone, after which it is dead.
    """

    retry: Retry = DEFAULT_RETRY
    max_crashes: int = 3

    def admits(self, failed: Failed, attempt: int) -> bool:
        """Tell whether an item that the handler failed for the *attempt*-th time runs again."""
        return attempt < self.retry.attempts and self.is_passing(failed)

    def is_passing(self, failed: Failed) -> bool:
        """Tell whether *failed* is of a kind that is tried again, whatever the attempt: it may pass."""
        if self.retry.on is None and failed.code in _TRIED_AGAIN:
            return True
        return self.retry.covers(failed.exception())


_ONCE = Policy(retry=Retry(attempts=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the handler said to the items of one chunk.

    Attributes:
        values: JSON of each item's value, ``b""`` for those in *failures*; or, where none failed, the JSON
            array of all of them. None where values are not kept.
        failures: index in the chunk -> what went wrong.
    """

    values: Sequence[bytes] | bytes | None
    failures: Mapping[int, Failed]


def settle(
    claim: Claim, answers: Sequence[Answers], policy: Policy, chance: Callable[[], float]
) -> Settlement:
    """Return what to record of a claim that ran.

    Args:
        claim: What ran.
        answers: For each of its chunks.
        policy: What is tried again.
        chance: A new random number, 0 <= x < 1, at each call.
    """
    chunks: list[NewChunk] = []
    results: list[NewResult] = []
    for chunk, answer in zip(claim.chunks, answers, strict=True):
        if answer.failures:
            sorting = _Sorting(chunk, answer)
            results += sorting.succeeded()
            chunks += sorting.retried(policy, chance)
            for dead, result in sorting.dead(policy):
                chunks.append(dead)
                results.append(result)
        else:
            results.append(_succeeded(chunk, chunk.places, chunk.items, answer.values))
    return Settlement(lease=claim.lease, chunks=tuple(chunks), results=tuple(results))


def settle_without_retry(claim: Claim, answers: Sequence[Answers], failed: Failed) -> Settlement:
    """Return what to record of a claim that ran where nobody can tell what is tried again.

    What succeeded has succeeded; all else has *failed* so, for good.
    """
    known = [
        Answers(values=answer.values, failures=dict.fromkeys(answer.failures, failed)) for answer in answers
    ]
    return settle(claim, known, _ONCE, float)


def fail_all(claim: Claim, failed: Failed) -> Settlement:
    """Return what to record of a claim whose items all *failed* so, for good; their bodies are not read."""
    chunks: list[NewChunk] = []
    results: list[NewResult] = []
    for chunk in claim.chunks:
        attempt = chunk.attempt + 1
        chunks.append(again(chunk, attempt=attempt, code=code_of(failed), error=reason_of(failed)))
        results.append(_failed(chunk, chunk.places, [_failure(failed, attempt)] * chunk.items))
    return Settlement(lease=claim.lease, chunks=tuple(chunks), results=tuple(results))


def _succeeded(chunk: Chunk, places: Runs, items: int, values: Sequence[bytes] | bytes | None) -> NewResult:
    body = values if values is None or isinstance(values, bytes) else array(values)
    return NewResult(job=chunk.job, kind=ResultKind.SUCCEEDED, places=places, items=items, body=body)


class _Sorting:
    """A chunk some of whose items failed."""

    def __init__(self, chunk: Chunk, answer: Answers) -> None:
        self._chunk = chunk
        self._answer = answer
        self._attempt = chunk.attempt + 1
        self._places = list(each_place(chunk.places))

    def _runs(self, indices: Sequence[int]) -> Runs:
        return runs_of(self._places[index] for index in indices)

    def succeeded(self) -> list[NewResult]:
        values = self._answer.values
        good = [index for index in range(self._chunk.items) if index not in self._answer.failures]
        if not good:
            return []
        kept = None if values is None or isinstance(values, bytes) else [values[index] for index in good]
        return [_succeeded(self._chunk, self._runs(good), len(good), kept)]

    def retried(self, policy: Policy, chance: Callable[[], float]) -> list[NewChunk]:
        indices = [i for i, failed in self._answer.failures.items() if policy.admits(failed, self._attempt)]
        if not indices:
            return []
        delay = policy.retry.delay(self._attempt, chance())
        return [pick(self._chunk, sorted(indices), attempt=self._attempt, delay=delay, crashes=0)]

    def dead(self, policy: Policy) -> Iterator[tuple[NewChunk, NewResult]]:
        """Yield a chunk for each code, with the result that its callers get."""
        by_code: dict[str, list[int]] = {}
        for index, failed in sorted(self._answer.failures.items()):
            if not policy.admits(failed, self._attempt):
                by_code.setdefault(code_of(failed), []).append(index)
        for code, indices in by_code.items():
            first = self._answer.failures[indices[0]]
            failures = [_failure(self._answer.failures[index], self._attempt) for index in indices]
            dead = pick(self._chunk, indices, attempt=self._attempt, code=code, error=reason_of(first))
            yield dead, _failed(self._chunk, self._runs(indices), failures)


def _failure(failed: Failed, attempts: int) -> Failure:
    message = failed.error if isinstance(failed.error, str) else ""
    return Failure(code_of(failed), _storable(message), attempts)


def code_of(failed: Failed) -> str:
    """Return the code that stores keep of *failed*."""
    return _storable(short_code(failed.code))


def reason_of(failed: Failed) -> str:
    """Return what operators are shown of a dead item: here an exception's text is no secret."""
    if isinstance(failed.error, str):
        return _storable(failed.error)
    cause = failed.error.__cause__ or failed.error
    return _storable(f"{type(cause).__name__}: {cause}")


def _storable(text: str) -> str:
    """Return *text* with what no store takes shown as ``?``: halves of surrogate pairs, as of file names."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def failures_of(chunk: Chunk, places: Runs, failed: Sequence[Failed], attempts: int) -> NewResult:
    """Return the result of items of *chunk* that have *failed* for good, after so many *attempts*."""
    return _failed(chunk, places, [_failure(each, attempts) for each in failed])


def _failed(chunk: Chunk, places: Runs, failures: Sequence[Failure]) -> NewResult:
    body = _FAILURES.encode(failures)
    return NewResult(job=chunk.job, kind=ResultKind.FAILED, places=places, items=len(failures), body=body)


def settle_crash(claim: Claim, policy: Policy) -> Settlement:
    """Return what to record of a claim whose lease died while it ran.

    A chunk of several items is split in two, so that an item that kills its
    process is found in O(log n) deliveries; a single item that has crashed
    too often is dead. Attempts are not touched: the handler never said no.
    """
    chunks: list[NewChunk] = []
    results: list[NewResult] = []
    for chunk in claim.chunks:
        if chunk.items > 1:
            middle = chunk.items // 2
            chunks.append(pick(chunk, range(middle), crashes=1))
            chunks.append(pick(chunk, range(middle, chunk.items), crashes=1))
        elif chunk.crashes < policy.max_crashes:
            chunks.append(again(chunk, crashes=chunk.crashes + 1))
        else:
            failure = Failure(CRASHED, "the worker died each time it ran this item", chunk.attempt + 1)
            chunks.append(again(chunk, code=CRASHED, error=failure.message))
            results.append(_failed(chunk, chunk.places, [failure]))
    return Settlement(lease=claim.lease, chunks=tuple(chunks), results=tuple(results))


def split_in_two(claim: Claim, attempt: int) -> Settlement:
    """Return what to record of a claim that failed as a whole and is tried again in halves, at once.

    For handlers that may be bisected, where the halves cannot be run within the same claim.
    """
    chunks: list[NewChunk] = []
    for chunk in claim.chunks:
        middle = (chunk.items + 1) // 2
        chunks.append(pick(chunk, range(middle), attempt=attempt, crashes=1))
        if middle < chunk.items:
            chunks.append(pick(chunk, range(middle, chunk.items), attempt=attempt, crashes=1))
    return Settlement(lease=claim.lease, chunks=tuple(chunks))
