"""Which path has which endpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gristmill.http import service
from gristmill.http.asgi import Endpoint, Scope, Send, Served, internal_error
from gristmill.http.bench import Bench
from gristmill.http.describe import DescribeEndpoint
from gristmill.http.docs_page import DOCS_ASSETS, DOCS_PAGE
from gristmill.http.drain import Drain
from gristmill.http.endpoints import HotEndpoints
from gristmill.http.jobs.paths import JobDesk
from gristmill.http.jobs.submit import Way
from gristmill.http.problems import KINDS, Reply, problem, problem_reply
from gristmill.http.stream import StreamEndpoint
from gristmill.http.watch import Receive
from gristmill.model.pool import Pooled
from gristmill.queue.service import Jobs
from gristmill.telemetry.requests import RequestCounter

_READ = ("GET", "HEAD")
RESERVED = frozenset(("jobs", "queues", "dead"))
"""Names that no handler may have: routes of jobs begin so."""

_TAILS = ("", "batch", "stream", "jobs")
_SHOWN = 100  # characters of a name in a detail


class Methods:
    """One path as an ASGI application, with an application for each method."""

    def __init__(self, by_method: Mapping[str, Served]) -> None:
        self.by_method = by_method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve by the request's method, which the route has checked."""
        await self.by_method[scope["method"]](scope, receive, send)


def handler_paths(
    bench: Bench, hot: HotEndpoints, path: str, counter: RequestCounter, desk: JobDesk | None = None
) -> dict[str, dict[str, Served]]:
    """Return path -> method -> application of one handler's routes, which begin with *path*.

    With a *desk* its items may be jobs of the durable queue, too.
    """

    def served(endpoint: Endpoint, route: str) -> Served:
        return Served(endpoint, counter, bench.handler.name, route, bench.limits.idle_timeout)

    describe = served(DescribeEndpoint(bench, has_jobs=desk is not None), "describe")
    if desk is None:
        posts = {"": served(hot.single, "single"), "/batch": served(hot.batch, "batch")}
    else:
        posts = {
            "": desk.preferring(hot.single, bench, "single", Way.SINGLE, 1),
            "/batch": desk.preferring(hot.batch, bench, "batch", Way.BATCH, 2),
            "/jobs": desk.submitting(bench),
        }
    posts["/stream"] = served(StreamEndpoint(bench), "stream")
    found: dict[str, dict[str, Served]] = {path + tail: {"POST": post} for tail, post in posts.items()}
    found[path] |= dict.fromkeys(_READ, describe)
    return found


def service_paths(
    handlers: Sequence[Any],
    drain: Drain,
    counter: RequestCounter,
    jobs: Jobs | None = None,
    *,
    metrics: bool,
    pools: Sequence[Pooled] = (),
) -> dict[str, dict[str, Served]]:
    """Return path -> method -> application of the routes for operators."""
    endpoints: dict[str, Endpoint] = {
        "/livez": service.live,
        "/readyz": service.ReadyEndpoint(handlers, drain, jobs),
    }
    for code in KINDS:
        path = "/problems/" + code.replace("_", "-")
        endpoints[path] = service.FixedEndpoint(partial(service.kind_reply, code))
    if metrics:
        endpoints["/metrics"] = service.MetricsEndpoint(handlers, counter, jobs, pools)
    return _read_only(endpoints, counter)


def docs_paths(document: service.FixedEndpoint, counter: RequestCounter) -> dict[str, dict[str, Served]]:
    """Return path -> method -> application of the docs page and the *document* it shows."""
    endpoints: dict[str, Endpoint] = {
        "/openapi.json": document,
        "/docs": service.FixedEndpoint(partial(service.docs_reply, DOCS_PAGE)),
        "/": service.FixedEndpoint(partial(service.redirect_reply, "docs")),
    }
    for name in DOCS_ASSETS:
        endpoints[f"/docs/{name}"] = service.FixedEndpoint(partial(service.docs_reply, name))
    return _read_only(endpoints, counter)


def _read_only(endpoints: Mapping[str, Endpoint], counter: RequestCounter) -> dict[str, dict[str, Served]]:
    return {
        path: dict.fromkeys(_READ, Served(endpoint, counter, "", "service"))
        for path, endpoint in endpoints.items()
    }


def starlette_app(
    paths: Mapping[str, Mapping[str, Served]], prefix: str, drain: Drain, counter: RequestCounter
) -> Starlette:
    """Return an application of all *paths*, whose own errors are problems too.

    *prefix* is what stands before the names of handlers.
    """

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = (error.headers or {}) if isinstance(error, HTTPException) else {}
        code = {404: "not_found", 405: "method_not_allowed"}.get(status, "internal_error")
        counter.count("", "other", status)
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        found = problem(code, status=status)
        if status == HTTPStatus.NOT_FOUND and (why := _what_is_missing(request.url.path, prefix, paths)):
            found.detail = why
        return response(problem_reply(found, fields))

    async def failed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's interface
        return response(internal_error(error))

    routes = [
        Route(path, Methods(by_method), methods=list(by_method), include_in_schema=False)
        for path, by_method in paths.items()
    ]
    app = Starlette(
        routes=routes, lifespan=drain.lifespan, exception_handlers={HTTPException: refused, Exception: failed}
    )
    app.router.redirect_slashes = False
    return app


def _what_is_missing(path: str, prefix: str, known: Collection[str]) -> str | None:
    """Return why a *path* that looks like one of a handler's routes is none; None for any other."""
    if not path.startswith(f"{prefix}/"):
        return None
    name, _, tail = path.removeprefix(f"{prefix}/").partition("/")
    if tail not in _TAILS or not name or name in RESERVED:
        return None
    if f"{prefix}/{name}" not in known:
        return f"there is no handler {name[:_SHOWN]!r}"
    return "there are no jobs: the App has no store" if tail == "jobs" else None


def response(reply: Reply) -> Response:
    """Return *reply* as Starlette's kind of it."""
    made = Response(reply.body, reply.status)
    made.raw_headers = list(reply.headers)
    return made
