"""The operations of the durable queue's routes, as OpenAPI 3.1 says them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from gristmill.http.components import Components
from gristmill.http.jobs.paths import PATHS, Path
from gristmill.http.openapi_parts import JSON, LINES, add_wire_type, headers, refusals
from gristmill.http.schemas import Schema
from gristmill.streams.formats.dialect import Quoting
from gristmill.streams.formats.header import OnDuplicate
from gristmill.wire import DeadReply, JobList, JobReply, QueueReply, ResultLine

TAG: Final = "Jobs"

_JOB_ID: Final = "^job_[0-9A-HJKMNP-TV-Z]{26}$"
_STATES: Final = ["receiving", "queued", "running", "cancelling", "completed", "cancelled"]

_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_HANDLER: Final = ("handler", _TEXT, "Of this handler only.")


def parameter(name: str, schema: Schema, text: str, place: str = "query") -> dict[str, Any]:
    """Return one parameter."""
    return {"name": name, "in": place, "required": place == "path", "description": text, "schema": schema}


SUBMITTING: Final[Sequence[dict[str, Any]]] = (
    parameter(
        "path",
        {"type": "string", "maxLength": 1024, "examples": ["in/people.csv"]},
        "A file of the server instead of a body, where the server has a folder for them: names between "
        "slashes. It may be gzip or zstd, told by its first bytes. Without a folder: 403 `files_disabled`.",
    ),
    parameter(
        "format",
        {"type": "string", "enum": ["csv", "tsv", "ndjson"]},
        "Of the file at `path`, if its name does not say it.",
    ),
    parameter(
        "delimiter", {"type": "string", "minLength": 1, "maxLength": 1}, "Of CSV: one ASCII character."
    ),
    parameter(
        "quoting",
        {"type": "string", "enum": list(get_args(Quoting)), "default": "rfc4180"},
        "Of CSV. `rfc4180`: cells are quoted as a whole or not at all, and another quote refuses the job; "
        "`lenient`: such quotes are characters; `none`: all are.",
    ),
    parameter("encoding", {"type": "string", "default": "utf-8"}, "Of CSV."),
    parameter(
        "on_duplicate",
        {"type": "string", "enum": list(get_args(OnDuplicate)), "default": "error"},
        "What becomes of CSV columns of one name.",
    ),
    parameter("priority", {"type": "integer", "minimum": 0, "maximum": 9, "default": 4}, "0 is urgent."),
    parameter("delay", {"type": "number", "minimum": 0}, "Seconds until the items are due."),
    parameter("run_at", _MOMENT, "When they are due, instead; also seconds of the epoch."),
    parameter("key", _TEXT, "Jobs with the same key run one after another, in order."),
    parameter("keep_results", {"type": "boolean", "default": True}, "Whether values are stored."),
    parameter(
        "Idempotency-Key",
        {"type": "string", "maxLength": 257},
        "A repeat within 24 hours is answered with the same job; another body under the same key is refused.",
        "header",
    ),
    parameter(
        "Prefer",
        _TEXT,
        "`wait=N`: answer 200 with the job if it is final within N seconds. `handling=strict`: one item that "
        "is not valid refuses the whole job.",
        "header",
    ),
)
"""What may be said of a job when it is made."""

_WAIT: Final = parameter("Prefer", _TEXT, "`wait=N`: answer when it is final, after N seconds.", "header")

_PARAMETERS: Final[Mapping[str, Sequence[dict[str, Any]]]] = {
    "jobs": (
        parameter("state", {"type": "string", "enum": _STATES}, "In this state only."),
        parameter(*_HANDLER),
        parameter("cursor", _TEXT, "Of the page before."),
        parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "Jobs."),
    ),
    "job": (
        _WAIT,
        parameter("If-None-Match", _TEXT, "The ETag that is known: 304 if it is still so.", "header"),
    ),
    "results": (
        parameter("status", {"type": "string", "enum": ["succeeded", "failed", "cancelled"]}, "These alone."),
        parameter("after", _TEXT, "The cursor of the last line that was read."),
        parameter(
            "ordered",
            {"type": "boolean", "default": False},
            "In the order of the items, up to the first without an outcome.",
        ),
    ),
    "events": (parameter("Last-Event-ID", _TEXT, "The last event that was seen.", "header"),),
    "dead": (parameter(*_HANDLER), parameter("job", _TEXT, "Of one job."), parameter("code", _TEXT, "Code.")),
}

_SUMMARIES: Final[Mapping[str, str]] = {
    "jobs": "List jobs, newest first",
    "job": "Show a job",
    "delete": "Delete a final job with its results",
    "results": "Read the outcomes there are, also while the job runs",
    "unprocessed": "Read the items that no batch has taken, ready to be sent again",
    "events": "Follow the progress of a job as server-sent events",
    "cancel": "Cancel what of a job is not running",
    "retry": "Let the failed items of a job run again",
    "queues": "Show how the queues stand",
    "pause": "Take nothing from a queue until it is resumed, on any machine",
    "resume": "Take from a queue again",
    "dead": "Show dead items by handler and code",
    "redrive": "Let dead items run again, those that match or all",
}

_BODIES: Final[Mapping[str, Schema]] = {
    "cancel": {"items": {"type": "array", "items": _WHOLE, "description": "Places; all without it."}},
    "retry": {"only": {"type": "string", "enum": ["failed"]}},
    "redrive": {
        "handler": _TEXT,
        "job": _TEXT,
        "code": _TEXT,
        "before": {"type": ["string", "number"]},
        "all": {"type": "boolean", "description": "`true` instead of the others: every dead item."},
    },
}

_REFUSALS: Final[Mapping[str, Sequence[int]]] = {
    "jobs": (400, 422, 503),
    "queues": (400, 503),
    "dead": (400, 422, 503),
    "redrive": (400, 415, 422, 503),
    "delete": (400, 404, 409, 503),
    "cancel": (400, 404, 415, 422, 503),
    "retry": (400, 404, 415, 422, 503),
}


class JobDescriber:
    """Makes the operations of the routes that belong to no handler, over one set of components.

    Args:
        components: Has the shared parts already.
    """

    def __init__(self, components: Components) -> None:
        self._components = components

    def paths(self, prefix: str) -> dict[str, Any]:
        """Return their path items below *prefix*."""
        found: dict[str, Any] = {}
        for path in PATHS:
            found.setdefault(prefix + path.path, {})[path.method.lower()] = self.operation(path)
        return found

    def operation(self, path: Path) -> dict[str, Any]:
        """Return the operation of one route."""
        parameters = [*_of_path(path), *_PARAMETERS.get(path.name, ())]
        operation: dict[str, Any] = {
            "tags": [TAG],
            "operationId": f"jobs.{path.name}",
            "summary": _SUMMARIES[path.name],
        }
        if parameters:
            operation["parameters"] = parameters
        if path.name in _BODIES:
            schema = {"type": "object", "properties": _BODIES[path.name]}
            is_needed = path.name == "redrive"
            operation["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": schema}}}
        answers = self._answers(path.name)
        refused = refusals(*_REFUSALS.get(path.name, (400, 404, 422, 503)))
        return {**operation, "responses": {**answers, **refused}}

    def _answers(self, name: str) -> dict[str, Any]:
        job = add_wire_type(self._components, JobReply)
        if name in ("delete", "pause", "resume"):
            return {"204": {"description": "Done"}}
        if name in ("cancel", "retry"):
            return {"202": _json("The job as it stands now", job, "Retry-After")}
        if name == "job":
            return {
                "200": _json("The job", job, "Retry-After"),
                "304": {"description": "As it was"},
            }
        if name == "events":
            stream = {"text/event-stream": {"schema": _TEXT}}
            told = "`progress` with the job as data, `done` with it at the end, `drain` when the server stops"
            return {
                "200": {"description": told, "content": stream},
                "204": {"description": "The end was seen already"},
            }
        if name in ("results", "unprocessed"):
            line: Schema = add_wire_type(self._components, ResultLine) if name == "results" else {}
            content = {LINES: {"schema": _TEXT, "x-item-schema": line}}
            return {"200": {"description": "One line for each item", "content": content}}
        return self._lists(name)

    def _lists(self, name: str) -> dict[str, Any]:
        if name == "jobs":
            return {"200": _json("A page of jobs", add_wire_type(self._components, JobList))}
        if name == "redrive":
            return {"202": _json("How many", _object("redriven", _WHOLE))}
        kind = QueueReply if name == "queues" else DeadReply
        many = {"type": "array", "items": add_wire_type(self._components, kind)}
        return {"200": _json("All of them", _object(name, many))}


def _of_path(path: Path) -> list[dict[str, Any]]:
    if "{job}" in path.path:
        return [parameter("job", {"type": "string", "pattern": _JOB_ID}, "The job's id.", "path")]
    if "{name}" in path.path:
        return [parameter("name", _TEXT, "The handler's name.", "path")]
    return []


def _object(name: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def _json(text: str, schema: Schema, *names: str) -> dict[str, Any]:
    told = {"headers": headers(*names)} if names else {}
    return {"description": text, **told, "content": {JSON: {"schema": schema}}}


def submitted(components: Components) -> dict[str, Any]:
    """Return the answers to a job that is made."""
    job = add_wire_type(components, JobReply)
    return {
        "202": _json("The job, stored; `Location` says where", job, "Preference-Applied", "Retry-After"),
        "200": _json("The job, final within the time of `Prefer: wait=N`", job, "Preference-Applied"),
    }
