"""The operations of one handler's routes, as OpenAPI 3.1 says them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from gristmill.http.components import Components
from gristmill.http.examples import example_of
from gristmill.http.openapi_jobs import SUBMITTING, submitted
from gristmill.http.openapi_parts import (
    ITEM_ID,
    JSON,
    KEYED,
    LINES,
    add_shared,
    add_wire_type,
    example_problem,
    headers,
    of_handler,
    parameters,
    refusals,
)
from gristmill.http.schemas import Schema, item_schema
from gristmill.http.settings import HttpLimits
from gristmill.model.limits import Limits
from gristmill.wire import BatchReply, ItemReply, StreamTrailer

Route: TypeAlias = Literal["single", "batch", "stream", "describe", "submit"]
Document: TypeAlias = dict[str, Any]


class HandlerDescription(Protocol):
    """What a handler must tell to be described; every ``BatchHandler`` does."""

    @property
    def name(self) -> str:
        """Its part of the path."""

    @property
    def description(self) -> str:
        """Its docstring; the first line becomes the summary."""

    @property
    def item_type(self) -> Any:
        """The annotation of one item."""

    @property
    def result_type(self) -> Any:
        """The annotation of one result."""

    @property
    def limits(self) -> Limits:
        """The options of its batches."""


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The schemas of one handler, as references into the document, and an example of each."""

    item: Schema
    result: Schema
    entry: Schema
    reply: Schema
    item_example: Any
    result_example: Any


class RouteDescriber:
    """Makes the operations of handlers over one set of components."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self.components = Components()
        add_shared(self.components)
        self._shapes: dict[str, _Shapes] = {}

    def paths(self, handler: HandlerDescription, path: str, *, jobs: bool = False) -> dict[str, Any]:
        """Return the path items of *handler* at *path*; with *jobs* its items may be jobs, too."""
        return {
            path: {"post": self.operation(handler, "single"), "get": self.operation(handler, "describe")},
            f"{path}/batch": {"post": self.operation(handler, "batch")},
            f"{path}/stream": {"post": self.operation(handler, "stream")},
            **({f"{path}/jobs": {"post": self.operation(handler, "submit")}} if jobs else {}),
        }

    def operation(self, handler: HandlerDescription, route: Route) -> Document:
        """Return the operation of one *route* of *handler*."""
        makers: Mapping[Route, Callable[[HandlerDescription], Document]] = {
            "single": self._single,
            "batch": self._batch,
            "stream": self._stream,
            "describe": self._describe,
            "submit": self._submit,
        }
        head = {"tags": [handler.name], "operationId": f"{handler.name}.{route}"}
        return {**head, **makers[route](handler)}

    def _single(self, handler: HandlerDescription) -> Document:
        shapes = self._shapes_of(handler)
        return {
            "summary": _summary(handler.description) or f"Send one item to {handler.name}",
            "description": _paragraphs(
                handler.description,
                "The body is the item and the answer is its result. It travels in a batch with the items of "
                "other callers; what became of it alone is the status.",
            ),
            "parameters": parameters(*KEYED),
            "requestBody": {
                "required": True,
                "description": f"One item, at most {_bytes(self._limits.item_bytes)} of JSON.",
                "content": {JSON: {"schema": shapes.item, "example": shapes.item_example}},
            },
            "responses": {
                "200": {
                    "description": "The item's result",
                    "headers": headers("Batch-Id", "Batch-Size", "Server-Timing"),
                    "content": {JSON: {"schema": shapes.result, "example": shapes.result_example}},
                },
                **refusals(400, 404, 408, 409, 413, 415, 422, 429, 500, 503, 504),
            },
        }

    def _batch(self, handler: HandlerDescription) -> Document:
        shapes = self._shapes_of(handler)
        most = self._limits.batch_items
        items = {"type": "array", "items": shapes.entry, "maxItems": most}
        request = self._add(
            handler,
            "BatchRequest",
            {
                "anyOf": [
                    {
                        "title": "Envelope",
                        "type": "object",
                        "properties": {"items": items},
                        "required": ["items"],
                    },
                    {"title": "Bare array", "type": "array", "items": shapes.item, "maxItems": most},
                ]
            },
        )
        entries = [{"id": "a", "data": shapes.item_example}, {"id": "b", "data": shapes.item_example}]
        reply_items = {"type": "array", "items": shapes.reply}
        reply = self._add(handler, "BatchReply", of_handler(self.components, BatchReply, items=reply_items))
        return {
            "summary": f"Send a batch to {handler.name}",
            "description": (
                "Every item gets its own verdict, in the order of the request: 200 says that the batch was "
                "taken, `errors` whether any item did not succeed. One item's failure touches no other."
            ),
            "parameters": parameters("Prefer", *KEYED),
            "requestBody": {
                "required": True,
                "description": (
                    f"At most {most} items and {_bytes(self._limits.batch_bytes)}. Ids are optional, and "
                    "come back with the verdicts."
                ),
                "content": {
                    JSON: {"schema": request, "example": {"items": entries}},
                    LINES: _lines(shapes.item, [shapes.item_example] * 2),
                },
            },
            "responses": {
                "200": {
                    "description": "One verdict per item",
                    "headers": headers("Preference-Applied", "Server-Timing"),
                    "content": {JSON: {"schema": reply, "example": _reply_of(shapes)}},
                },
                **refusals(400, 408, 409, 413, 415, 422, 429, 500, 503),
            },
        }

    def _stream(self, handler: HandlerDescription) -> Document:
        shapes = self._shapes_of(handler)
        line = {"anyOf": [shapes.reply, add_wire_type(self.components, StreamTrailer)]}
        trailer = {"done": True, "errors": False, "counts": _counts(2, 0)}
        replies = [{"index": index, "status": 200, "result": shapes.result_example} for index in range(2)]
        return {
            "summary": f"Stream items through {handler.name}",
            "description": (
                "One item per line in, one verdict per line out as soon as it is known, so not in the order "
                "of the input: `index` says which line it answers. The last line sums up."
            ),
            "requestBody": {
                "required": True,
                "description": f"Any number of lines, each at most {_bytes(self._limits.item_bytes)}.",
                "content": {LINES: _lines(shapes.item, [shapes.item_example] * 2)},
            },
            "responses": {
                "200": {
                    "description": "One verdict per line, then the totals",
                    "content": {LINES: _lines(line, [*replies, trailer])},
                },
                **refusals(400, 408, 413, 415, 500, 503),
            },
        }

    def _submit(self, handler: HandlerDescription) -> Document:
        shapes = self._shapes_of(handler)
        entries = [{"id": "a", "data": shapes.item_example}, {"id": "b", "data": shapes.item_example}]
        envelope = {"type": "array", "items": shapes.entry}
        items = {"items": envelope}
        schema = {
            "anyOf": [
                {"title": "Envelope", "type": "object", "properties": items, "required": ["items"]},
                {"title": "Bare array", "type": "array", "items": shapes.item},
            ]
        }
        limits = self._limits
        return {
            "summary": f"Make a durable job for {handler.name}",
            "description": (
                "The answer comes when the job is stored. An item that is not valid becomes a failed item of "
                "the job and stops no other. Lines and CSV are stored as they come; strings of CSV "
                "become what the item's type wants."
            ),
            "parameters": list(SUBMITTING),
            "requestBody": {
                "required": False,
                "description": (
                    f"At most {limits.job_items} items; {_bytes(limits.batch_bytes)} of JSON, or "
                    f"{_bytes(limits.job_bytes)} of lines or CSV. May be gzip. None with `path`."
                ),
                "content": {
                    JSON: {"schema": schema, "example": {"items": entries}},
                    LINES: _lines(shapes.item, [shapes.item_example] * 2),
                    "text/csv": {"schema": {"type": "string"}},
                    "text/tab-separated-values": {"schema": {"type": "string"}},
                },
            },
            "responses": {
                **submitted(self.components),
                **refusals(400, 404, 408, 409, 413, 415, 422, 500, 503),
            },
        }

    def _describe(self, handler: HandlerDescription) -> Document:
        return {
            "summary": f"Describe {handler.name}",
            "description": "The schemas and limits, for clients that set themselves up.",
            "responses": {
                "200": {"description": "The description", "content": {JSON: {"schema": {"type": "object"}}}},
                **refusals(404),
            },
        }

    def _shapes_of(self, handler: HandlerDescription) -> _Shapes:
        found = self._shapes.get(handler.name)
        if found is None:
            found = self._shapes[handler.name] = self._make_shapes(handler)
        return found

    def _make_shapes(self, handler: HandlerDescription) -> _Shapes:
        add, known = self.components, self.components.schemas
        item = add.adopt(*item_schema(handler.item_type, "in"), "Input")
        result = add.adopt(*item_schema(handler.result_type, "out"), "Output")
        entry = {"type": "object", "properties": {"id": ITEM_ID, "data": item}, "required": ["data"]}
        reply = of_handler(add, ItemReply, result=result)
        return _Shapes(
            item=item,
            result=result,
            entry=self._add(handler, "BatchEntry", entry),
            reply=self._add(handler, "ItemReply", reply),
            item_example=example_of(item, known),
            result_example=example_of(result, known),
        )

    def _add(self, handler: HandlerDescription, kind: str, schema: Schema) -> Schema:
        words = re.split(r"[^A-Za-z0-9]+", handler.name)
        own = "".join(word[:1].upper() + word[1:] for word in words) + kind
        return self.components.add(own, {**schema, "title": own})


def _lines(schema: Schema, examples: Sequence[Any]) -> Document:
    """Describe a body of JSON lines; OpenAPI 3.1 has no word for the schema of a line."""
    text = "".join(json.dumps(one, separators=(",", ":"), ensure_ascii=False) + "\n" for one in examples)
    return {"schema": {"type": "string"}, "example": text, "x-item-schema": schema}


def _reply_of(shapes: _Shapes) -> Document:
    ok = {"index": 0, "id": "a", "status": 200, "result": shapes.result_example}
    refused = {"index": 1, "id": "b", "status": 503, "error": example_problem("queue_full")}
    return {"errors": True, "took_ms": 18, "counts": _counts(1, 1), "items": [ok, refused]}


def _counts(succeeded: int, unprocessed: int) -> Document:
    return {"total": succeeded + unprocessed, "succeeded": succeeded, "failed": 0, "unprocessed": unprocessed}


def _summary(text: str) -> str:
    return text.strip().partition("\n")[0].strip().rstrip(".")


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text.strip() for text in texts if text.strip())


def _bytes(size: int) -> str:
    return f"{size >> 20} MiB" if size % (1 << 20) == 0 else f"{size} bytes"
