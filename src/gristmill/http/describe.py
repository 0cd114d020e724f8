"""``GET /v1/{name}``: what a client needs to know to use a handler well."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from gristmill.http.bench import Bench
from gristmill.http.components import Components
from gristmill.http.headers import RawHeaders
from gristmill.http.problems import Reply
from gristmill.http.schemas import item_schema
from gristmill.http.watch import Receive


class DescribeEndpoint:
    """Answers with the description of one handler, made once."""

    def __init__(self, bench: Bench, *, has_jobs: bool = False) -> None:
        self._body = msgspec.json.encode(description(bench, has_jobs=has_jobs))

    async def __call__(self, headers: RawHeaders, receive: Receive) -> Reply:  # noqa: ARG002 - the same to everybody
        """Answer one request."""
        return json_reply(200, self._body)


def description(bench: Bench, *, has_jobs: bool = False) -> dict[str, Any]:
    """Return the description of a handler.

    References in its schemas point into its own ``components``; its routes are
    relative to where the description is.
    """
    handler = bench.handler
    name = handler.name
    limits = handler.limits
    components = Components()
    item = components.adopt(*item_schema(handler.item_type, "in"), "Input")
    result = components.adopt(*item_schema(handler.result_type, "out"), "Output")
    return {
        "name": name,
        "description": handler.description,
        "item": item,
        "result": result,
        "limits": asdict(bench.limits),
        "batching": {
            "max_size": limits.largest,
            "max_wait": limits.max_wait if isinstance(limits.max_wait, int | float) else None,
            "max_weight": limits.max_weight,
            "max_pending": limits.max_pending,
            "timeout": limits.timeout,
        },
        "routes": {
            "single": name,
            "batch": f"{name}/batch",
            "stream": f"{name}/stream",
            **({"jobs": f"{name}/jobs"} if has_jobs else {}),
        },
        "components": components.document(),
    }


def json_reply(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Reply:
    """Return a reply of JSON."""
    length = (b"content-length", b"%d" % len(body))
    return Reply(status, ((b"content-type", b"application/json"), length, *headers), body)
