"""One request until it is answered: its retries, the waits that the server asks for, its deadline."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple, NoReturn

from gristmill.client.addresses import checked_headers
from gristmill.client.asked_wait import asked_wait
from gristmill.client.budget import Bucket, RetryBudget
from gristmill.client.quota import Quota
from gristmill.client.refusals import may_repeat, refused
from gristmill.client.transports.protocol import Request, Response, Transport
from gristmill.errors import (
    BatchCancelled,
    BatcherClosed,
    ClientError,
    DeadlineExceeded,
    RequestRefused,
    UnusableAnswer,
)
from gristmill.model.retry import Retry

logger = logging.getLogger("gristmill.client")

_GOOD = range(200, 300)
_LONGEST_HOLD = 120.0
"""Seconds after which a server is asked again that wanted a longer rest: it may have been wrong."""
LARGEST_ANSWER = 256 << 20
"""Bytes of an answer that is read as a whole: a server that sends without end fills no memory."""
_DIGITS = 16
_FLIGHT = 1.0
"""Seconds between two looks whether a request under the same key is answered."""
_SOONEST = 0.1
"""Seconds between them at least, whatever it asks for."""
_LOOK = 0.5
"""Seconds between two looks, in a wait, whether anybody still wants the answer."""
_INSTANT = 0.001
"""Seconds that a wait takes at least: a clock may not see less."""
_SPREAD = 0.1
"""Share of an asked wait that is added at random, so that callers do not come back all at once."""


UNWANTED = "nobody waits for the answer any more"


class Answer(NamedTuple):
    """A whole answer with a status of 2xx."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """Sends the requests of one client.

    Requests that failed without having been taken are repeated, with backoff and full jitter, as long as the
    budget lasts. A wait that the server asks for holds all requests of the client.

    Args:
        transport: Sends them.
        headers: Of every request.
        retry: How often, and after how long.
        budget: Bounds the retries of all of them together.

    Raises:
        ConfigurationError: A header cannot be sent.
    """

    def __init__(
        self, transport: Transport, headers: Mapping[str, str], retry: Retry, budget: RetryBudget
    ) -> None:
        self.transport = transport
        self.retry = retry
        self.is_closed = False
        self._headers = checked_headers(headers)
        self._budget = budget
        self._tokens: Bucket | None = None
        self._shut_until = -math.inf
        self._quota = Quota()

    @property
    def tokens(self) -> Bucket:
        """What is left of the budget; asked for on the event loop."""
        if self._tokens is None:
            self._tokens = Bucket(self._budget, _now())
        return self._tokens

    def made(self, request: Request) -> Request:
        """Return *request* with the headers of the client."""
        return Request(
            method=request.method,
            url=request.url,
            headers={**self._headers, **request.headers},
            body=request.body,
        )

    async def send(
        self,
        request: Request,
        *,
        deadline: float,
        repeatable: bool,
        marked: bool = False,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """Return the answer to *request*.

        Args:
            request: Without the headers of the client; a body in pieces is sent once.
            deadline: On the loop's clock.
            repeatable: Whether it may be sent again where it may have been done.
            marked: Whether it says then that it is a repeat, so that the server does it in no case twice.
            wanted: Tells whether anybody waits for the answer: else it is not sent, or not again.

        Raises:
            BatchCancelled: Nobody does.
            ClientError: It was not answered with 2xx, and is not repeated any more.
            DeadlineExceeded: Its time is up; ``__cause__`` is how the last try failed.
        """
        last: ClientError | None = None
        unsure: ClientError | None = None  # how a marked request failed that may have been done: it stays so
        request = self.made(request)
        is_whole = request.body is None or isinstance(request.body, bytes)
        self.tokens.deposit()
        attempt = 1
        while True:
            await self.wait_at_gate(request, deadline, unsure or last, wanted)
            try:
                async with asyncio.timeout_at(None if deadline == math.inf else deadline):
                    return await self._once(request)
            except TimeoutError:
                _too_late(request, unsure or last)
            except RequestRefused as error:
                if error.code == "idempotency_in_flight" and is_whole:  # it is being done: this is no try
                    wait = max(error.retry_after or _FLIGHT, _SOONEST)
                    await self._pause(wait, deadline, unsure or error, wanted)
                    continue
                if error.code == "idempotency_unknown" and unsure is not None:
                    raise unsure from error
                last = error
            except ClientError as error:
                last = error
            if marked and last.may_have_run:
                unsure = last
                request = replace(request, headers={**request.headers, "idempotency-repeat": "true"})
            may = is_whole and may_repeat(last, repeatable=repeatable) and attempt < self.retry.attempts
            if not may or self.is_closed or not wanted() or not self.tokens.take(_now()):
                raise unsure or last
            logger.info("%s %s is sent again: %s", request.method, request.url, last)
            delay = self.retry.delay(attempt, random.random())  # noqa: S311 - jitter, not a secret
            await self._pause(delay, deadline, unsure or last, wanted)
            attempt += 1

    async def _once(self, request: Request) -> Answer:
        self.check_open()
        self._quota.begin()
        try:
            async with self.transport.open(request) as response:
                status, headers = response.status, response.headers
                body = await _whole(response, request.url)
        finally:
            self._quota.end()
        self.note(status, headers)
        if status in _GOOD:
            return Answer(status, headers, body)
        raise refused(
            request.method, request.url, status, headers, body, wait=asked_wait(headers, time.time())
        )

    def check_open(self) -> None:
        """Raise ``BatcherClosed`` if the client was closed."""
        if self.is_closed:
            raise BatcherClosed("the client was closed")

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Hold all requests for as long as an answer asks for, and learn how many more are taken."""
        self._quota.note(headers, _now())
        if status in _GOOD and "ratelimit" not in headers:
            return  # Retry-After of a good answer says when to look again, and holds nobody else
        wait = asked_wait({"ratelimit": headers["ratelimit"]} if status in _GOOD else headers, time.time())
        if wait is not None and (status in _GOOD or status in (429, 503)):
            self.hold(wait)

    def hold(self, seconds: float) -> None:
        """Send nothing for so many *seconds*, two minutes at most, and a little longer at random."""
        seconds = min(seconds, _LONGEST_HOLD)
        seconds *= 1 + _SPREAD * random.random()  # noqa: S311 - jitter, not a secret
        self._shut_until = max(self._shut_until, _now() + seconds)

    async def wait_at_gate(
        self,
        request: Request,
        deadline: float,
        last: ClientError | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wait until the server wants requests again, and raise *last* where that is beyond *deadline*."""
        while (wait := max(self._shut_until - _now(), self._quota.wait(_now()))) > 0:
            if _now() + wait >= deadline:
                message = f"the server asks to wait {wait:.0f} s, longer than {request.url} has"
                if last is not None:
                    raise last
                raise RequestRefused(
                    message, status=429, code="rate_limited", retryable=True, retry_after=wait
                )
            await _sleep(max(wait, _INSTANT), last, wanted)

    async def _pause(
        self, seconds: float, deadline: float, last: ClientError, wanted: Callable[[], bool]
    ) -> None:
        if _now() + seconds >= deadline:
            raise last
        await _sleep(seconds, last, wanted)


async def _sleep(seconds: float, last: ClientError | None, wanted: Callable[[], bool]) -> None:
    """Sleep, and raise *last*, or ``BatchCancelled``, once nobody wants the answer any more."""
    for _ in range(int(seconds / _LOOK)):
        await asyncio.sleep(_LOOK)
        if not wanted():
            raise last or BatchCancelled(UNWANTED)
    await asyncio.sleep(seconds % _LOOK)


async def _whole(response: Response, url: str) -> bytes:
    """Return the body; raises ``UnusableAnswer`` before more of it is held than an answer can have."""
    told = response.headers.get("content-length", "")
    if told.isdecimal() and len(told) < _DIGITS and int(told) <= LARGEST_ANSWER:
        return await response.read()
    held = bytearray()
    pieces = response.pieces()
    try:
        async for piece in pieces:
            held += piece
            if len(held) > LARGEST_ANSWER:
                most = f"{LARGEST_ANSWER >> 20} MiB"
                raise UnusableAnswer(
                    f"the answer of {url} has more than {most}: send less at once, max_size="
                )
    finally:
        close = getattr(pieces, "aclose", None)
        if close is not None:
            await close()
    return bytes(held)


def _too_late(request: Request, last: ClientError | None) -> NoReturn:
    error = DeadlineExceeded(f"{request.method} {request.url} gave no answer in time")
    raise error from last


def _now() -> float:
    return asyncio.get_running_loop().time()
