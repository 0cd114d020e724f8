"""What a server tells of a handler: its limits and the schemas of its items and results."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import msgspec
from msgspec import Struct

from gristmill.client.limits import Learnt
from gristmill.client.sending import Sender
from gristmill.client.transports.protocol import Request
from gristmill.client.unreadable import UNREADABLE
from gristmill.errors import BatchError, UnusableAnswer

logger = logging.getLogger("gristmill.client")

_PATIENCE = 5.0
"""Seconds that the first request of a handler waits for its description at most."""
_AGAIN = 10.0
"""Seconds after which one is asked again that was away."""


class ServerLimits(Struct, frozen=True):
    """What one request may cost, in bytes, items and seconds; ``HttpLimits`` of the server."""

    batch_bytes: int = 8 << 20
    batch_items: int = 1_000
    item_bytes: int = 1 << 20
    job_bytes: int = 200 << 20
    job_items: int = 100_000
    held_seconds: float = 0.0


class Description(Struct, frozen=True, kw_only=True):
    """``GET /v1/{name}``.

    Attributes:
        name: The handler's name.
        description: Its docstring.
        item: The JSON schema of an item; references point into ``components``.
        result: The JSON schema of a result.
        limits: What one request may cost.
        routes: What there is, relative to where the description is.
        components: Schemas that are referred to.
    """

    name: str
    description: str = ""
    item: dict[str, Any] = {}
    result: dict[str, Any] = {}
    limits: ServerLimits = ServerLimits()
    routes: dict[str, str] = {}
    components: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(Description)


class Describer:
    """Asks for the description of one handler when it is first needed, once.

    Args:
        sender: Sends the request.
        url: Of the handler.
        limits: What it learns.
        timeout: Seconds that a description may take, tries included; None: without end.
    """

    def __init__(self, sender: Sender, url: str, limits: Learnt, timeout: float | None) -> None:
        self._sender = sender
        self._url = url
        self._limits = limits
        self._timeout = math.inf if timeout is None else timeout
        self._asking: asyncio.Task[Description] | None = None
        self._is_settled = False
        self._again_at: float | None = None

    async def get(self) -> Description:
        """Return the description.

        Raises:
            ClientError: The server gives none.
        """
        return await asyncio.shield(self._begun())

    def _begun(self) -> asyncio.Task[Description]:
        if self._asking is None or not _serves(self._asking):
            self._asking = asyncio.create_task(self._ask(), name="gristmill description")
            self._asking.add_done_callback(_failed)  # it may be that nobody waits for it
        return self._asking

    async def prepare(self, deadline: float) -> None:
        """Learn the limits before the first request; go on without where that fails.

        A server that was away or busy is asked again later, beside the requests.

        Args:
            deadline: Of the first request, on the loop's clock.
        """
        if self._is_settled:
            return
        now = asyncio.get_running_loop().time()
        if self._again_at is not None:
            if now >= self._again_at:
                self._again_at = now + _AGAIN
                self._begun()
            return
        try:
            async with asyncio.timeout_at(min(now + _PATIENCE, now + (deadline - now) / 2)):
                await self.get()
        except (BatchError, TimeoutError) as error:
            logger.info(
                "%s gives no description, so its limits are those of any server: %s", self._url, error
            )
            self._is_settled = not (isinstance(error, TimeoutError) or error.retryable)
            self._again_at = asyncio.get_running_loop().time() + _AGAIN

    async def _ask(self) -> Description:
        answer = await self._sender.send(
            Request(method="GET", url=self._url, headers={"accept": "application/json"}),
            deadline=asyncio.get_running_loop().time() + self._timeout,
            repeatable=True,
        )
        try:
            found = _DECODER.decode(answer.body)
        except UNREADABLE as error:
            raise UnusableAnswer(f"{self._url} describes no handler: {error}") from error
        self._limits.at_most(found.limits.batch_items, found.limits.batch_bytes)
        self._limits.keeps_answers = found.limits.held_seconds > 0
        self._is_settled = True
        return found

    async def aclose(self) -> None:
        """End a request that nobody waits for any more."""
        asking = self._asking
        if asking is None:
            return
        if not asking.done() and asking.get_loop() is asyncio.get_running_loop():
            asking.cancel()
            await asyncio.wait([asking])
        if asking.done():
            _failed(asking)


def _serves(task: asyncio.Task[Any]) -> bool:
    """Tell whether it has an answer, or will have one that this loop may wait for."""
    return not _failed(task) if task.done() else task.get_loop() is asyncio.get_running_loop()


def _failed(task: asyncio.Task[Any]) -> bool:
    return task.cancelled() or task.exception() is not None
