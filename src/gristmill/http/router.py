"""The routes of handlers as a FastAPI router: dependencies, prefixes and documents stay FastAPI's."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from fastapi import APIRouter
from fastapi.params import Depends
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gristmill.http.asgi import Served
from gristmill.http.bench import Bench
from gristmill.http.drain import Drain
from gristmill.http.endpoints import HotEndpoints
from gristmill.http.jobs.paths import PATHS, JobDesk
from gristmill.http.openapi import Route, job_openapi_extra, route_openapi_extra
from gristmill.http.openapi_jobs import TAG
from gristmill.http.problems import CLOSE, Reply, StreamedReply
from gristmill.http.routes import handler_paths, response
from gristmill.telemetry.requests import RequestCounter

_ROUTES: dict[tuple[str, str], Route] = {
    ("POST", ""): "single",
    ("GET", ""): "describe",
    ("POST", "/batch"): "batch",
    ("POST", "/stream"): "stream",
    ("POST", "/jobs"): "submit",
}


def fastapi_router(
    benches: Sequence[Bench],
    drain: Drain,
    counter: RequestCounter,
    desk: JobDesk | None = None,
    *,
    prefix: str,
    tags: Sequence[str | Enum] | None,
    dependencies: Sequence[Depends] | None,
) -> APIRouter:
    """Return a router with all routes of the handlers and the durable queue, for a FastAPI application.

    Args:
        benches: The handlers.
        drain: Begins at the signal to stop; the router's lifespan sees to it.
        counter: Counts the replies.
        desk: Of the durable queue, whose routes come too.
        prefix: Of the router.
        tags: For the documents; by default each handler's name.
        dependencies: Run before each route, as FastAPI does.
    """
    router = APIRouter(prefix=prefix, dependencies=dependencies, lifespan=drain.lifespan)
    desk = None if desk is None else desk.within_another()

    def add(path: str, method: str, served: Served, name: str, *, tag: str, extra: dict[str, Any]) -> None:
        router.add_api_route(
            path,
            _endpoint(served),
            methods=[method],
            name=name,
            tags=[tag] if tags is None else list(tags),
            response_model=None,
            response_class=Response,
            openapi_extra=extra,
        )

    for bench in benches:
        name = bench.handler.name
        for path, by_method in handler_paths(bench, HotEndpoints(bench), f"/{name}", counter, desk).items():
            for method, served in by_method.items():
                route = _ROUTES.get((method, path.removeprefix(f"/{name}")))
                if route is not None:  # not HEAD, which FastAPI leaves out everywhere
                    extra = route_openapi_extra(bench.handler, route, bench.limits)
                    add(path, method, served, f"{name}_{route}", tag=name, extra=extra)
    if desk is not None:
        for own in PATHS:
            extra = job_openapi_extra(own)
            add(own.path, own.method, desk.served(own), f"jobs_{own.name}", tag=TAG, extra=extra)
    return router


def _endpoint(served: Served) -> Any:
    async def endpoint(request: Request) -> Response:
        reply = await served.reply(request.scope, request.receive)
        if reply is None:
            return Response(status_code=499)  # the caller hung up; nobody reads this
        if isinstance(reply, StreamedReply) or CLOSE in reply.headers:
            return _SentByUs(served, reply)
        return response(reply)

    return endpoint


class _SentByUs(Response):
    """A reply that takes a while; Starlette's own would read the body to see whether the caller hung up."""

    def __init__(self, served: Served, reply: Reply | StreamedReply) -> None:
        super().__init__(status_code=reply.status)
        self.raw_headers = list(reply.headers)
        self._served = served
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - Starlette's
        await self._served.send(self._reply, receive, send)
        if self.background is not None:
            await self.background()
