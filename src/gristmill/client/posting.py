"""One batch becomes one request, or as many as the server's limits ask for: what a batch handler calls."""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gristmill.batching.frame import is_wanted
from gristmill.client.formats import Format, refusal
from gristmill.client.limits import Learnt
from gristmill.client.refusals import of_items, wait_of
from gristmill.client.sealed import Sealed
from gristmill.client.sending import UNWANTED, Sender
from gristmill.client.transports.protocol import Request
from gristmill.errors import (
    BatchCancelled,
    BatchError,
    ClientError,
    DeadlineExceeded,
    ItemFailed,
    RequestRefused,
)

_TOO_LARGE = 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where batches go, and what is known of it.

    Attributes:
        url: Absolute.
        method: ``POST``, unless the endpoint wants another.
        headers: Of its requests.
        timeout: Seconds for an item, retries included; None: without end.
        idempotent: Whether the endpoint may see an item twice.
        keyed: Whether requests have an ``Idempotency-Key``.
        marked: Whether the server refuses what is said to be a repeat and repeats nothing it knows; else it
            is taken to keep every key.
        limits: Of one request.
        prepare: Awaited before the first request; learns the limits.
    """

    url: str
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    timeout: float | None
    idempotent: bool
    keyed: bool
    marked: bool = False
    limits: Learnt
    prepare: Callable[[float], Awaitable[None]] | None = None

    @property
    def repeatable(self) -> bool:
        """Whether a request that may have been done may be sent again."""
        return self.idempotent or (self.keyed and (not self.marked or self.limits.keeps_answers))


class Posting:
    """Posts batches of one route. It raises nothing: what failed is in the place of its items' values.

    Args:
        sender: Sends the requests.
        format: Of their bodies.
        route: Where they go.
    """

    def __init__(self, sender: Sender, format: Format, route: Route) -> None:
        self._sender = sender
        self._format = format
        self._route = route

    async def post(self, items: list[Sealed]) -> list[Any]:
        """Return a value or an exception for each of *items*."""
        now = asyncio.get_running_loop().time()
        limit = math.inf if self._route.timeout is None else now + self._route.timeout
        answers: dict[Sealed, Any] = {}
        live: list[Sealed] = []
        for item in items:
            if item.deadline is None:
                item.deadline = limit
            if item.refusal is not None:
                answers[item] = item.refusal
            elif item.deadline <= now:
                answers[item] = DeadlineExceeded(f"{self._route.url} gave no answer in time")
            else:
                live.append(item)
        if live:
            if self._route.prepare is not None:
                await self._route.prepare(_latest(live))
            for part in list(self._route.limits.cut(live)):
                await self._part(part, answers)
        return [answers[item] for item in items]

    async def _part(self, part: Sequence[Sealed], answers: dict[Sealed, Any]) -> None:
        """Post *part*; halves of it where it is too large for the server, or one of its items is unfit."""
        waiting = [part]
        taken: list[Sequence[Sealed]] = []
        refusals: list[RequestRefused] = []  # for their size
        while waiting:
            some = waiting.pop()
            if not is_wanted():
                answers.update(dict.fromkeys(some, BatchCancelled(UNWANTED)))
                continue
            try:
                found = await self._request(some)
                taken.append(some)
            except RequestRefused as error:
                if error.status == _TOO_LARGE:
                    refusals.append(error)
                    if len(some) > 1:
                        self._route.limits.learn(error)
                        waiting += reversed(self._smaller(some))
                        continue
                found = _all(of_items(error), len(some))
            except BatchError as error:
                found = _all(of_items(error) if isinstance(error, ClientError) else error, len(some))
            except _Unfit as unfit:
                if len(some) > 1:
                    waiting += reversed(_halves(some))
                    continue
                found = [unfit.refusal]
            answers.update(zip(some, found, strict=True))
        if taken and refusals and not any(map(_tells_limit, refusals)) and _is_all(taken, part):
            self._route.limits.learn_from(taken)

    def _smaller(self, part: Sequence[Sealed]) -> list[Sequence[Sealed]]:
        parts = list(self._route.limits.cut(part))
        if len(parts) > 1:
            return parts
        return _halves(part)

    async def _request(self, part: Sequence[Sealed]) -> list[Any]:
        route = self._route
        try:
            body = self._format.body(part)
        except Exception as error:  # encode() of the user: it is the answer to these items
            raise _Unfit(refusal(error)) from error
        headers = {"content-type": "application/json", "accept": "application/json", **route.headers}
        if route.keyed:
            headers["idempotency-key"] = f'"{uuid.uuid4()}"'
        spent = self._spend(part)
        if spent is not None:
            return spent
        request = Request(method=route.method, url=route.url, headers=headers, body=body)
        answer = await self._sender.send(
            request,
            deadline=_latest(part),
            repeatable=route.repeatable,
            marked=route.marked and not route.idempotent,
            wanted=is_wanted,
        )
        found = self._format.read(answer.body, len(part))
        if any(issubclass(kind, BatchError) for kind in set(map(type, found))):
            self._hold_for(found)
            self._note_verdicts(part, found)
        return found

    def _spend(self, part: Sequence[Sealed]) -> list[Any] | None:
        """Count a try; return what the last one said where the budget allows no other."""
        verdicts = [item.verdict for item in part]
        if None not in verdicts and not self._sender.tokens.take(asyncio.get_running_loop().time()):
            for verdict in verdicts:
                vars(verdict)["is_last"] = True
            return verdicts
        for item in part:
            item.tries += 1
        return None

    def _hold_for(self, found: Sequence[Any]) -> None:
        """Wait as long as the verdicts ask for: the server is full."""
        waits = [
            wait for each in found if isinstance(each, BatchError) and (wait := wait_of(each)) is not None
        ]
        if waits:
            self._sender.hold(max(waits))

    def _note_verdicts(self, part: Sequence[Sealed], found: Sequence[Any]) -> None:
        """Keep the failures, and mark those of items that have no time left for another try."""
        now, retry = asyncio.get_running_loop().time(), self._sender.retry
        for item, answer in zip(part, found, strict=True):
            if isinstance(answer, BatchError) and item.deadline is not None:
                item.verdict = answer
                longest = max(retry.delay(item.tries, 1.0), wait_of(answer) or 0.0)
                if now + longest >= item.deadline:
                    vars(answer)["is_last"] = True


class _Unfit(Exception):
    """No body can be made of some items."""

    def __init__(self, refusal: ItemFailed) -> None:
        self.refusal = refusal


def _halves(part: Sequence[Sealed]) -> list[Sequence[Sealed]]:
    middle = len(part) // 2
    return [part[:middle], part[middle:]]


def _tells_limit(error: RequestRefused) -> bool:
    return error.limit_items is not None or error.limit_bytes is not None


def _is_all(parts: Sequence[Sequence[Sealed]], whole: Sequence[Sealed]) -> bool:
    """Tell whether no item was too large alone, which says nothing about the number of them."""
    return sum(map(len, parts)) == len(whole)


def _latest(items: Sequence[Sealed]) -> float:
    return max([math.inf if item.deadline is None else item.deadline for item in items])


def _all(error: BatchError, count: int) -> list[Any]:
    return [error] * count  # each waiter is given an exception of its own by the heart
