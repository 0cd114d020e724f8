"""What every handler's routes share in an OpenAPI document: problems, refusals, headers, preferences.

Taken from the wire types and the table of problem codes, so the document can
not say anything else than the server does.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gristmill.http.components import Components
from gristmill.http.problems import KINDS, problem
from gristmill.http.schemas import Schema, item_schema
from gristmill.wire import Complaint, ItemReply, Problem

JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
PROBLEM_JSON: Final = "application/problem+json"

ITEM_ID: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"}

_INSTANCE = "urn:uuid:5f0c4a52-8f0e-4a5b-9b0e-2f6d1c7e8a90"

# The refusals that operations name; all others are `default`.
_TITLES: Final = {
    400: "The body is not usable JSON, or the query has an unknown parameter",
    404: "Nothing there",
    408: "The body came too slowly",
    409: "Conflict",
    413: "Too much at once",
    415: "Media type or coding not supported",
    422: "Not valid, or refused by the handler",
    429: "Too many requests",
    500: "The handler or the server failed",
    503: "Full, or draining",
    504: "No answer in time",
}

_HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Batch-Id": {
        "description": "The batch the item was in, as in the server's log and traces.",
        "schema": {"type": "string"},
    },
    "Batch-Size": {
        "description": "How many items that batch had.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Preference-Applied": {
        "description": "What of `Prefer` was followed.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again, from what is waiting and how fast it drains.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Server-Timing": {
        "description": (
            "Milliseconds. For one item in the buffer and in the handler, `queue;dur=3.1, handler;dur=12.4`; "
            "for a batch from its last byte to the answer, `total;dur=18.0`."
        ),
        "schema": {"type": "string"},
    },
}

_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A repeat of the request is given the same answer, and nothing runs, as long as "
        "this process keeps it; another body under the same key is refused."
    ),
    "schema": {"type": "string", "maxLength": 257},
}
_REPEAT: Final = {
    "name": "Idempotency-Repeat",
    "in": "header",
    "description": "`true`: this is a repeat; where its key is not known run nothing, and answer 409.",
    "schema": {"type": "string", "enum": ["true"]},
}
KEYED: Final = ("Idempotency-Key", "Idempotency-Repeat")
"""The parameters of routes whose answers are kept."""

_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": (
        "`handling=strict`: check every item first; if one is not valid nothing runs and the answer is 422. "
        "`return=minimal`: list only the items that did not succeed, with the counts. What was followed "
        "comes back in `Preference-Applied`. `respond-async`: make it a job of the durable queue, "
        "where there is one, and answer 202 as `.../jobs` does."
    ),
    "schema": {"type": "string"},
    "examples": {
        "strict": {"value": "handling=strict"},
        "minimal": {"value": "return=minimal"},
        "both": {"value": "handling=strict, return=minimal"},
    },
}


def add_wire_type(components: Components, wire_type: type) -> Schema:
    """Add the schema of a *wire_type*, its parts included, and return a reference to it."""
    return components.adopt(*item_schema(wire_type, "out"))


def of_handler(components: Components, wire_type: type, **properties: Schema) -> Schema:
    """Return the schema of *wire_type* with some *properties* told more exactly, for one handler.

    Its parts are added, but for the item replies: those are told per handler.
    """
    _, definitions = item_schema(wire_type, "out")
    whole = definitions.pop(wire_type.__name__)
    definitions.pop(ItemReply.__name__, None)
    told = {name: {**whole["properties"][name], **part} for name, part in properties.items()}
    return components.adopt({**whole, "properties": {**whole["properties"], **told}}, definitions)


def add_shared(components: Components) -> None:
    """Add the shared parts under the names ``response``, ``headers`` and ``parameters`` refer to."""
    refer_to_problem = add_wire_type(components, Problem)
    for name, header in _HEADERS.items():
        components.put("headers", name, header)
    for shared in (_PREFER, _KEY, _REPEAT):
        components.put("parameters", str(shared["name"]), shared)
    for status in _TITLES:
        components.put("responses", _response_name(status), _refusal(status, refer_to_problem))
    components.put(
        "responses",
        "Other",
        {
            "description": "Any other refusal, by the `code` in it",
            "content": {PROBLEM_JSON: {"schema": refer_to_problem}},
        },
    )


def refusals(*statuses: int) -> dict[str, dict[str, str]]:
    """Return the ``responses`` of an operation that may answer with *statuses*, or with another problem."""
    named = {str(status): {"$ref": f"#/components/responses/{_response_name(status)}"} for status in statuses}
    return {**named, "default": {"$ref": "#/components/responses/Other"}}


def headers(*names: str) -> dict[str, dict[str, str]]:
    """Return the ``headers`` of a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def parameters(*names: str) -> list[dict[str, str]]:
    """Return the parameters of an operation: ``Prefer``, ``Idempotency-Key``, ``Idempotency-Repeat``."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def example_problem(code: str) -> dict[str, Any]:
    """Return what an answer with *code* may look like."""
    at = [Complaint("#/email", "Expected `str`, got `int`")] if code == "invalid_item" else []
    found = problem(code, retryable=KINDS[code].status in _RETRYABLE, errors=at)
    if found.status in _RETRYABLE:
        found.retry_after_s = 1
    found.instance = _INSTANCE
    shown: dict[str, Any] = msgspec.to_builtins(found)
    return shown


_RETRYABLE: Final = frozenset({429, 503})


def _response_name(status: int) -> str:
    return f"Problem{status}"


def _refusal(status: int, schema: Schema) -> dict[str, Any]:
    codes = [code for code, kind in KINDS.items() if kind.status == status]
    meanings = "\n".join(f"- `{code}`: {KINDS[code].meaning}" for code in codes)
    response: dict[str, Any] = {
        "description": f"{_TITLES[status]}\n\n{meanings}",
        "content": {
            PROBLEM_JSON: {
                "schema": schema,
                "examples": {code: {"value": example_problem(code)} for code in codes},
            }
        },
    }
    if status in _RETRYABLE:
        response["headers"] = headers("Retry-After")
    return response
