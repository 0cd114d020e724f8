"""Answers to requests with an ``Idempotency-Key``, kept for a while, so that a repeat runs nothing.

They are kept in the memory of this process: another process, or this one
after a restart, knows none of them. A caller that must not be run twice says
of a repeat that it is one (``Idempotency-Repeat: true``), and is refused
where its key is not known. The rules are those of the IETF's draft
"The Idempotency-Key HTTP Header Field" (draft-ietf-httpapi-idempotency-key-header-07).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from gristmill.http.asgi import internal_error
from gristmill.http.idempotency import idempotency_key
from gristmill.http.problems import Refused, Reply, problem
from gristmill.http.settings import HttpLimits

_NOT_HELD = frozenset((408, 425, 429, 503))
"""Statuses that say that the same request may do better later."""
_REPLAYED = (b"idempotent-replayed", b"true")
_AROUND = 512
"""Bytes that an answer takes beside its body, about."""


class Mark(NamedTuple):
    """A request with a key: under what it is known, and the hash of its body."""

    name: tuple[str, str]
    fingerprint: bytes


class _Held(NamedTuple):
    fingerprint: bytes
    reply: Reply
    until: float

    @property
    def size(self) -> int:
        return len(self.reply.body) + _AROUND


class Replays:
    """The answers of one application.

    Args:
        limits: How many, how large and how long.
        clock: Monotonic seconds.
    """

    def __init__(self, limits: HttpLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._running: dict[tuple[str, str], tuple[bytes, asyncio.Task[Reply]]] = {}
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()  # the oldest first
        self._size = 0

    def look(self, place: str, headers: Mapping[bytes, bytes], body: bytes | bytearray) -> Mark | Reply:
        """Return the answer to a request that was answered before; else what ``run`` takes.

        Args:
            place: What the key belongs to, such as a route.
            headers: Of the request, which has a key.
            body: Of the request.

        Raises:
            Refused: ``invalid_idempotency_key``; ``idempotency_key_reused``: with another body;
                ``idempotency_in_flight``: the first is not answered yet; ``idempotency_unknown``: it is said
                to be a repeat, and there is nothing that it repeats.
        """
        key = idempotency_key(headers.get(b"idempotency-key"))
        mark = Mark((place, str(key)), sha256(body).digest())
        self._forget()
        running = self._running.get(mark.name)
        held = self._held.get(mark.name)
        if running is None and held is None:
            if headers.get(b"idempotency-repeat") == b"true":
                raise Refused(problem("idempotency_unknown"))
            return mark
        if mark.fingerprint != (running[0] if running is not None else held and held.fingerprint):
            raise Refused(problem("idempotency_key_reused"))
        if held is None:
            raise Refused(problem("idempotency_in_flight", retryable=True, retry_after_s=1))
        return held.reply._replace(headers=(*held.reply.headers, _REPLAYED))

    async def run(self, mark: Mark, answering: Coroutine[Any, Any, Reply]) -> Reply:
        """Return the reply of *answering*, and keep it.

        It runs to its end also where this call is cancelled: who hung up may ask again. What it raises,
        and a reply that says to try again later, is not kept.
        """
        task = asyncio.create_task(_answered(answering), name="gristmill keyed request")
        self._running[mark.name] = (mark.fingerprint, task)
        task.add_done_callback(partial(self._done, mark))
        return await asyncio.shield(task)

    def _done(self, mark: Mark, task: asyncio.Task[Reply]) -> None:
        del self._running[mark.name]
        if task.cancelled() or task.exception() is not None:
            return
        reply = task.result()
        if reply.status in _NOT_HELD:
            return
        held = _Held(mark.fingerprint, reply, self._clock() + self._limits.held_seconds)
        self._held[mark.name] = held
        self._size += held.size
        self._forget()

    def _forget(self) -> None:
        """Let go of answers that are too old, and of the oldest of too many."""
        limits, now = self._limits, self._clock()
        while self._held:
            oldest = next(iter(self._held.values()))
            is_room = len(self._held) <= limits.held_answers and self._size <= limits.held_bytes
            if is_room and oldest.until > now:
                return
            self._size -= self._held.popitem(last=False)[1].size


async def _answered(answering: Coroutine[Any, Any, Reply]) -> Reply:
    try:
        return await answering
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - whoever asked may be gone: logged, and told without its text
        return internal_error(error)
