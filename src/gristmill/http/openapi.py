"""The OpenAPI 3.1 document of a set of handlers, and of one route for a document of somebody else.

Pure: handlers in, plain JSON values out. What the routes do is decided where
they are; this only says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gristmill.http.jobs.paths import Path
from gristmill.http.openapi_jobs import TAG as JOBS_TAG
from gristmill.http.openapi_jobs import JobDescriber
from gristmill.http.openapi_parts import JSON
from gristmill.http.openapi_routes import Document, HandlerDescription, Route, RouteDescriber
from gristmill.http.settings import HttpLimits

__all__ = ["HandlerDescription", "Route", "job_openapi_extra", "openapi_document", "route_openapi_extra"]

_SERVICE_TAG: Final = "Service"


def openapi_document(
    handlers: Sequence[HandlerDescription],
    *,
    title: str = "Gristmill",
    version: str = "0.1.0",
    description: str = "",
    prefix: str = "/v1",
    limits: HttpLimits | None = None,
    metrics: bool = True,
    jobs: bool = False,
    server_url: str = ".",
) -> Document:
    """Return the OpenAPI 3.1 document of *handlers*, as plain JSON values.

    Args:
        handlers: In the order they are to be listed; different names.
        title: The name of the API.
        version: The version of the API, not of OpenAPI.
        description: CommonMark text for the top.
        prefix: Stands before each handler's name: ``""`` or ``"/..."`` without
            a slash at its end.
        limits: What one request may cost; told where it matters.
        metrics: Whether there is a ``/metrics``.
        jobs: Whether there is a durable queue.
        server_url: What the paths are relative to. The default, ``"."``, is
            the place of the document itself, so it holds below any mount path.
    """
    describe = RouteDescriber(limits or HttpLimits())
    paths: dict[str, Any] = {}
    for handler in handlers:
        paths |= describe.paths(handler, f"{prefix}/{handler.name}", jobs=jobs)
    own = [{"name": JOBS_TAG, "description": "The durable queue."}] if jobs else []
    if jobs:
        paths |= JobDescriber(describe.components).paths(prefix)
    paths |= _service_paths(metrics=metrics)
    info = {"title": title, "version": version, **({"description": description} if description else {})}
    return {
        "openapi": "3.1.0",
        "info": info,
        "servers": [{"url": server_url}],
        "tags": [*map(_tag, handlers), *own, {"name": _SERVICE_TAG, "description": "For operators."}],
        "paths": paths,
        "components": describe.components.document(),
    }


def route_openapi_extra(
    handler: HandlerDescription, route: Route, limits: HttpLimits | None = None
) -> Document:
    """Return what FastAPI's ``openapi_extra`` needs for one *route* of *handler*.

    FastAPI takes operations, not components, so everything is written in
    place. ``operationId`` and ``tags`` are left to FastAPI and its user.

    Returns:
        ``summary``, ``description``, ``parameters``, ``requestBody`` and
        ``responses``, as far as the route has them.
    """
    describe = RouteDescriber(limits or HttpLimits())
    operation = describe.operation(handler, route)
    inlined: Document = describe.components.inlined(
        {key: part for key, part in operation.items() if key not in ("operationId", "tags")}
    )
    return inlined


def job_openapi_extra(path: Path) -> Document:
    """Return what FastAPI's ``openapi_extra`` needs for one route of the durable queue, as above."""
    components = RouteDescriber(HttpLimits()).components
    operation = JobDescriber(components).operation(path)
    inlined: Document = components.inlined(
        {key: part for key, part in operation.items() if key not in ("operationId", "tags")}
    )
    return inlined


def _tag(handler: HandlerDescription) -> Document:
    limits = handler.limits
    told: Document = {
        "max_size": limits.largest,
        "max_pending": limits.max_pending,
        "timeout": limits.timeout,
    }
    if isinstance(limits.max_wait, int | float):
        told["max_wait"] = limits.max_wait
    tag: Document = {"name": handler.name, "x-limits": told}
    return {**tag, "description": handler.description} if handler.description else tag


def _service_paths(*, metrics: bool) -> dict[str, Any]:
    def operation(name: str, summary: str, responses: Document) -> Document:
        return {
            "get": {
                "tags": [_SERVICE_TAG],
                "operationId": f"service.{name}",
                "summary": summary,
                "responses": responses,
            }
        }

    readiness = {"content": {JSON: {"schema": {"type": "object"}}}}
    paths = {
        "/livez": operation("livez", "Is the event loop alive?", {"200": {"description": "Yes"}}),
        "/readyz": operation(
            "readyz",
            "Does it take work?",
            {
                "200": {"description": "Yes", **readiness},
                "503": {"description": "No; the checks say why", **readiness},
            },
        ),
    }
    if metrics:
        text = {"content": {"text/plain": {"schema": {"type": "string"}}}}
        paths["/metrics"] = operation(
            "metrics", "Metrics for Prometheus", {"200": {"description": "All series", **text}}
        )
    return paths
