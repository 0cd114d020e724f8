"""Routes for operators and people: health, metrics, the document, the docs page, what problem codes mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gristmill.batching.handler import BatchHandler
from gristmill.errors import StoreError
from gristmill.http import metrics
from gristmill.http.describe import json_reply
from gristmill.http.docs_page import DOCS_HEADERS, docs_asset
from gristmill.http.drain import Drain
from gristmill.http.headers import RawHeaders
from gristmill.http.problems import KINDS, NO_STORE, Reply, problem, problem_reply
from gristmill.http.watch import Receive
from gristmill.model.pool import Pooled
from gristmill.model.queue import QueueStatus
from gristmill.queue.service import Jobs
from gristmill.telemetry.requests import RequestCounter

HIGH_WATER = 0.9
"""Share of ``max_pending`` above which a service says that it is not ready."""

_STORE_SECONDS = 2.0  # for an answer to a probe; most scrape and probe with patience for more

_ALIVE = json_reply(200, b'{"status":"ok"}', NO_STORE)
_DOCS_HEADERS = tuple((name.lower().encode(), value.encode()) for name, value in DOCS_HEADERS.items())


async def live(headers: RawHeaders, receive: Receive) -> Reply:  # noqa: ARG001 - an endpoint
    """``GET /livez``: that this answer comes at all is what it says."""
    return _ALIVE


class ReadyEndpoint:
    """``GET /readyz``: whether the service wants more work."""

    def __init__(
        self, handlers: Sequence[BatchHandler[Any, Any]], drain: Drain, jobs: Jobs | None = None
    ) -> None:
        self._handlers = handlers
        self._drain = drain
        self._jobs = jobs

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply:  # noqa: ARG002 - an endpoint
        """Answer one request: 200 if every check is ok, else 503."""
        full = [
            handler.name
            for handler in self._handlers
            if handler.stats().pending > HIGH_WATER * handler.limits.max_pending
        ]
        checks: dict[str, dict[str, Any]] = {
            "draining": {"ok": not self._drain.is_draining},
            "queue_below_high_water": {"ok": not full, **({"handlers": full} if full else {})},
        }
        if self._jobs is not None:
            checks["store"] = {"ok": await answers(self._jobs)}
        ready = all(check["ok"] for check in checks.values())
        body = {"status": "ok" if ready else "unavailable", "checks": checks}
        return json_reply(200 if ready else 503, msgspec.json.encode(body), NO_STORE)


async def answers(jobs: Jobs) -> bool:
    """Tell whether the store of *jobs* answers; a file that no job has made yet would."""
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            if not jobs.is_new:
                await jobs.ping()
    except (StoreError, TimeoutError):
        return False
    return True


async def standing(jobs: Jobs) -> Sequence[QueueStatus] | None:
    """Return how the queues stand; None while the store does not answer."""
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return [] if jobs.is_new else await jobs.queues()
    except (StoreError, TimeoutError):
        return None


class MetricsEndpoint:
    """``GET /metrics``, for Prometheus."""

    def __init__(
        self,
        handlers: Sequence[BatchHandler[Any, Any]],
        counter: RequestCounter,
        jobs: Jobs | None = None,
        pools: Sequence[Pooled] = (),
    ) -> None:
        self._handlers = handlers
        self._counter = counter
        self._jobs = jobs
        self._pools = pools

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply:  # noqa: ARG002 - an endpoint
        """Answer one scrape; 404 with a hint where the extra is not installed."""
        if metrics.exposition is None:
            hint = "metrics need the extra: install gristmill[telemetry]"
            return problem_reply(problem("not_found", detail=hint))
        accept = b", ".join(value for name, value in headers if name == b"accept").decode("latin-1")
        stats = [handler.stats() for handler in self._handlers]
        queues = None if self._jobs is None else await standing(self._jobs)
        breakers = () if self._jobs is None else self._jobs.breakers()
        media_type, body = metrics.exposition(
            stats, self._counter, queues, self._pools, breakers, accept=accept
        )
        return _file(media_type, body, NO_STORE)


class FixedEndpoint:
    """A file of the docs, or a document that is made when somebody first asks for it."""

    def __init__(self, make: Callable[[], Reply]) -> None:
        self._make = make
        self._reply: Reply | None = None

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply:  # noqa: ARG002 - the same to everybody
        """Answer one request."""
        if self._reply is None:
            self._reply = self._make()
        return self._reply


def docs_reply(name: str) -> Reply:
    """Return one file of the docs page."""
    media_type, body = docs_asset(name)
    return _file(media_type, body, *_DOCS_HEADERS)


def document_reply(document: Any) -> Reply:
    """Return a document as JSON that browsers may keep, if they ask each time."""
    return json_reply(200, msgspec.json.encode(document), (b"cache-control", b"no-cache"))


def kind_reply(code: str) -> Reply:
    """Return what the problem *code* means: the page its ``type`` names."""
    kind = KINDS[code]
    return document_reply(
        {
            "type": "/problems/" + code.replace("_", "-"),
            "code": code,
            "status": kind.status,
            "title": kind.title,
            "meaning": kind.meaning,
        }
    )


def redirect_reply(location: str) -> Reply:
    """Send a browser to *location*."""
    return Reply(307, ((b"location", location.encode()), (b"content-length", b"0")), b"")


def _file(media_type: str, body: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    described = ((b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body)))
    return Reply(200, (*described, *headers), body)
