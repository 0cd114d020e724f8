"""A handler elsewhere as a batch handler of this process, which a run over files can push rows through."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gristmill.batching.handler import BatchHandler
from gristmill.batching.recipe import Recipe
from gristmill.batching.runner import Call
from gristmill.batching.signature import read_signature
from gristmill.client.budget import RetryBudget
from gristmill.client.client import base_of
from gristmill.client.description import Describer, Description
from gristmill.client.formats import HandlerFormat
from gristmill.client.limits import Learnt
from gristmill.client.posting import Posting, Route
from gristmill.client.refusals import may_retry
from gristmill.client.schema_types import item_type_of
from gristmill.client.sending import Sender
from gristmill.client.transports.choice import default_transport
from gristmill.errors import BatcherClosed, BatchError, EndRun, ItemFailed, QueueFull, RequestRefused
from gristmill.model.limits import Limits
from gristmill.model.retry import Retry

_ITEMS, _BYTES = 1_000, 8 << 20
_TOO_LARGE = 413
_CALLER = range(400, 500)
_FRESH = 3.0
"""Seconds after which connections are made anew: nothing of the loop runs between two chunks, so it would not
see that the server has closed them."""
_FIRST = 30.0
"""Seconds for the description of the handler."""
_EVER = 1_000_000_000
_REQUESTS = Retry(attempts=_EVER, base=0.2, cap=10.0)
_ROWS = Retry(attempts=4, base=0.5, cap=10.0, on=lambda error: may_retry(error, idempotent=True))
_BUDGET = RetryBudget(share=1.0, minimum=10.0)


class ServerAway(EndRun):
    """The rows of a run cannot be sent."""


class ServerRefuses(ServerAway):
    """The server takes nothing from this caller (401, 403, 404): to run it again changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where rows go.

    Attributes:
        url: Of the server, as ``Client`` takes it.
        handler: The handler's name.
        headers: Of every request.
        max_size: Rows of a request at most.
        concurrency: Requests in flight at once.
        patience: Seconds that a request is tried before the run stops; None for ever.
        description: What the server tells of the handler.
        is_text: Whether rows are of text, whose cells become what the server wants.
    """

    url: str
    handler: str
    headers: Mapping[str, str] = field(default_factory=dict)
    max_size: int
    concurrency: int
    patience: float | None
    description: Description
    is_text: bool


class RowHandler(BatchHandler[Any, Any]):
    """A batch handler that posts its batches; pickled as its ``Place``.

    Rows that a full server does not take are sent again, as a whole request is that it does not take. Rows
    may be sent more than once, as rows of a run that is resumed are anyway. An answer that fails a row
    fails it alone; without an answer the batch raises ``ServerAway``.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        poster = Poster(place)
        limits = Limits(max_size=place.max_size, concurrency=place.concurrency, timeout=None, retry=_ROWS)
        call = Call(place.handler, poster.post, None, takes_context=False)
        super().__init__(Recipe(call, limits, None), read_signature(poster.post))
        # What a run is, for its checkpoint: one that is resumed must go to the same server.
        self.__module__ = __name__
        self.__qualname__ = poster.url

    def __reduce__(self) -> tuple[Any, ...]:
        """Be made anew where it is unpickled."""
        return (RowHandler, (self._place,))

    @property
    def item_type(self) -> Any:
        """What cells of text become; ``Any`` where rows are not of text."""
        if not self._place.is_text:
            return Any
        return item_type_of(self._place.description.item, self._place.description.components)


class Poster:
    """Posts batches of rows.

    Args:
        place: Where they go.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.url = f"{base_of(place.url)}/{quote(place.handler, safe='')}"
        self._format = HandlerFormat(Any)
        self._sender: Sender | None = None
        self._posting: Posting | None = None
        self._running = 0
        self._used = 0.0

    async def post(self, items: list[Any]) -> list[Any]:
        """Return a value or an exception for each of *items*; ``ServerAway`` where there is no answer."""
        now = asyncio.get_running_loop().time
        deadline = math.inf if self.place.patience is None else now() + self.place.patience
        answers: list[Any] = [None] * len(items)
        waiting = list(range(len(items)))
        attempt = 1
        while True:
            for index, answer in zip(waiting, await self._posted([items[at] for at in waiting]), strict=True):
                answers[index] = answer
                if isinstance(answer, RequestRefused) and answer.status == _TOO_LARGE:
                    answers[index] = ItemFailed(str(answer), code=answer.code)
                elif _is_of_request(answer):
                    return [_ending(answer)] * len(items)
            waiting = [index for index, answer in enumerate(answers) if _was_not_taken(answer)]
            if not waiting:
                return answers
            wait = _REQUESTS.delay(attempt, random.random())  # noqa: S311 - jitter, not a secret
            if now() + wait >= deadline:
                return [ServerAway(f"{self.url} is full: {answers[waiting[0]]}")] * len(items)
            await asyncio.sleep(wait)
            attempt += 1

    async def _posted(self, items: list[Any]) -> list[Any]:
        posting = await self._fresh()
        self._running += 1
        try:
            return await posting.post([self._format.seal(item) for item in items])
        finally:
            self._running -= 1
            self._used = asyncio.get_running_loop().time()

    async def _fresh(self) -> Posting:
        now = asyncio.get_running_loop().time()
        if self._sender is not None and not self._running and now - self._used > _FRESH:
            await self._sender.transport.aclose()
        if self._posting is None:
            limits = Learnt(_ITEMS, _BYTES)
            told = self.place.description.limits
            limits.at_most(told.batch_items, told.batch_bytes)
            self._sender = Sender(default_transport(), self.place.headers, _REQUESTS, _BUDGET)
            route = Route(
                url=f"{self.url}/batch",
                timeout=self.place.patience,
                idempotent=True,
                keyed=True,
                limits=limits,
            )
            self._posting = Posting(self._sender, self._format, route)
        return self._posting


def _was_not_taken(answer: Any) -> bool:
    """Tell whether the server was too full for a row, or draining: that says nothing about the row."""
    return isinstance(answer, QueueFull | BatcherClosed) and getattr(answer, "of_item", False)


def _ending(error: BatchError) -> ServerAway:
    is_ours = isinstance(error, RequestRefused) and not error.retryable and error.status in _CALLER
    return ServerRefuses(str(error)) if is_ours else ServerAway(str(error))


def _is_of_request(answer: Any) -> bool:
    if not isinstance(answer, BatchError) or isinstance(answer, ItemFailed):
        return False
    return not getattr(answer, "of_item", False)


async def described(url: str, handler: str, headers: Mapping[str, str], retry: Retry) -> Description:
    """Ask a server what it tells of a handler.

    Raises:
        ClientError: It cannot be asked, or has no such handler.
    """
    sender = Sender(default_transport(), headers, retry, _BUDGET)
    describer = Describer(sender, f"{base_of(url)}/{quote(handler, safe='')}", Learnt(_ITEMS, _BYTES), _FIRST)
    try:
        return await describer.get()
    finally:
        await describer.aclose()
        await sender.transport.aclose()
