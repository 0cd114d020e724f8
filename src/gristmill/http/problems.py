"""Problems of RFC 9457: which codes there are, what they say and which status they have.

Nothing of a request and no text of an exception gets into a problem, except
what a handler says on purpose with ``Failed("text")``.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from gristmill.errors import ConfigurationError, GristmillError
from gristmill.wire import Complaint, Problem

Headers = tuple[tuple[bytes, bytes], ...]

PROBLEM_TYPE = (b"content-type", b"application/problem+json")
CLOSE = (b"connection", b"close")
NO_STORE = (b"cache-control", b"no-store")

_ENCODER = msgspec.json.Encoder()


class Reply(NamedTuple):
    """A whole answer of an endpoint."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class StreamedReply(NamedTuple):
    """An answer whose body comes bit by bit; to be closed if it is not read to its end."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    chunks: AsyncGenerator[bytes, None]


class Kind(NamedTuple):
    """What a code means: its status, its title and a sentence for whoever meets it."""

    status: int
    title: str
    meaning: str


KINDS: Mapping[str, Kind] = {
    "malformed_json": Kind(
        400, "Body is not JSON", "The body, or this line of it, is not strict JSON in UTF-8."
    ),
    "too_deep": Kind(400, "Body nests too deeply", "Arrays and objects nest deeper than limit_depth."),
    "duplicate_key": Kind(400, "Key given twice", "An object of the body has the same key twice."),
    "malformed_encoding": Kind(
        400, "Body does not decompress", "The body is not the gzip data it claims to be."
    ),
    "malformed_csv": Kind(
        400,
        "Body is not CSV",
        "The first row must name the columns, and quotes stand as in RFC 4180 unless quoting says otherwise.",
    ),
    "column_count": Kind(
        400, "Row has other cells", "The row has more or fewer cells than the header has names."
    ),
    "bad_encoding": Kind(400, "Not text", "The row or line is not text in UTF-8, or in the encoding given."),
    "nul_byte": Kind(400, "NUL byte in a row", "The row has a NUL byte: it is damaged, or no text."),
    "invalid_idempotency_key": Kind(
        400,
        "Idempotency-Key is not valid",
        "It is 1 to 255 visible ASCII characters, quoted or bare.",
    ),
    "unknown_option": Kind(
        400, "Option is not known", "The query has a parameter that this route does not take."
    ),
    "unauthorized": Kind(401, "Not authenticated", "The request needs credentials that it does not have."),
    "forbidden": Kind(403, "Not allowed", "The credentials do not allow this."),
    "files_disabled": Kind(
        403, "Files are not read", "This server reads no files of its own: it was given no folder for them."
    ),
    "file_not_found": Kind(
        404,
        "No such file",
        "The folder of the server has no regular file of this path that it may read; links are not followed.",
    ),
    "not_found": Kind(404, "Not found", "There is nothing here, or nothing for this item."),
    "method_not_allowed": Kind(405, "Method not allowed", "This path answers the methods in Allow only."),
    "request_timeout": Kind(408, "Body came too slowly", "The whole body must arrive within the time limit."),
    "idempotency_in_flight": Kind(
        409, "Request is in flight", "A request with this Idempotency-Key is not answered yet."
    ),
    "idempotency_unknown": Kind(
        409,
        "Nothing to repeat",
        "This process has no answer under the Idempotency-Key: it was restarted, or never had the request.",
    ),
    "file_changed": Kind(
        409, "File has changed", "The file was written to or cut while it was read; nothing was stored."
    ),
    "job_not_final": Kind(409, "Job still runs", "Cancel the job first, or wait until it is final."),
    "conflict": Kind(409, "Conflict", "The item conflicts with what is there."),
    "duplicate": Kind(409, "Already there", "The item is there already."),
    "unique_violation": Kind(409, "Already there", "A value of the item must be unique and is taken."),
    "already_exists": Kind(409, "Already there", "The item is there already."),
    "content_too_large": Kind(
        413, "Body is too large", "The body has more than limit_bytes: send less at once."
    ),
    "too_many_items": Kind(413, "Too many items", "The batch has more than limit_items: send it in parts."),
    "too_large": Kind(413, "Item is too large", "The item is larger than limit_bytes."),
    "item_too_heavy": Kind(
        413, "Item is too heavy", "The item alone weighs more than a batch of this handler may."
    ),
    "unsupported_media_type": Kind(415, "Media type not supported", "Send one of the types in Accept-Post."),
    "unsupported_encoding": Kind(
        415, "Encoding not supported", "Send one of the codings in Accept-Encoding."
    ),
    "invalid_item": Kind(422, "Item is not valid", "The item does not have the shape this handler takes."),
    "invalid_batch": Kind(
        422, "Batch is not valid", 'A batch is {"items": [{"data": ...}]} or an array of items.'
    ),
    "invalid_item_id": Kind(
        422, "Item id is not valid", "An id has 1 to 128 letters, digits and . _ : - only."
    ),
    "duplicate_item_id": Kind(
        422, "Item id given twice", "Two items of the batch have the same id; none ran."
    ),
    "invalid_option": Kind(
        422, "Option is not valid", "A parameter of the request is not what this route takes."
    ),
    "idempotency_key_reused": Kind(
        422, "Idempotency-Key used for something else", "A request with this key had another body."
    ),
    "invalid_path": Kind(
        422,
        "Path is not valid",
        "It is names between single slashes below the server's folder: none begins with a dot, and there are "
        "no backslashes.",
    ),
    "failed": Kind(422, "Item failed", "The handler refused this item."),
    "rate_limited": Kind(429, "Too many requests", "This caller has used up its share for now."),
    "handler_error": Kind(500, "Handler failed", "The handler raised an error; the server's log has it."),
    "handler_contract": Kind(
        500, "Handler broke its contract", "The handler's reply is not usable for this item."
    ),
    "worker_died": Kind(500, "Worker died", "The process that ran the batch died."),
    "crashed": Kind(500, "Worker died each time", "Every worker that ran the item died."),
    "store_error": Kind(500, "Store failed", "The store did not do it; the server's log says why."),
    "store_version": Kind(500, "Store is newer", "A newer version of the server has written the store."),
    "store_misconfigured": Kind(500, "Store is not set up", "The store would lose jobs as it is set up."),
    "not_supported": Kind(500, "Store cannot do this", "This kind of store cannot do that."),
    "internal_error": Kind(500, "Internal error", "The server failed; its log says how."),
    "reentrant": Kind(500, "Handler calls itself", "The handler calls itself without end."),
    "queue_full": Kind(503, "Queue is full", "The server has all the items it can hold; nothing was taken."),
    "closed": Kind(503, "Server is draining", "The server is shutting down and takes no more items."),
    "cancelled": Kind(503, "Batch was cancelled", "The batch ended without a reply."),
    "upload_abandoned": Kind(
        503,
        "Items came too late",
        "The server stood still for too long while it took the items in; nothing was stored.",
    ),
    "store_unavailable": Kind(
        503,
        "Store is away",
        "The store cannot be reached; nothing is known to have been stored.",
    ),
    "store_read_only": Kind(503, "Store takes no writes", "The store is read-only for now."),
    "store_full": Kind(507, "Store is full", "The store has no room for more; nothing was stored."),
    "deadline_exceeded": Kind(504, "No answer in time", "The item's time was up before its answer came."),
}

_UNPROCESSABLE = 422
_UNAVAILABLE = 503
_LOWEST_ERROR, _HIGHEST_ERROR = 400, 599


class Refused(GristmillError):
    """The request, or one item, is answered with a problem and goes no further."""

    def __init__(self, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.headers: Headers = headers


class Statuses:
    """The HTTP status of every code, the ones of handlers included.

    Args:
        own: code -> status, 400 to 599, over the built-in table.

    Raises:
        ConfigurationError: A status is not one of an error.
    """

    def __init__(self, own: Mapping[str, int] | None = None) -> None:
        self._table = {code: kind.status for code, kind in KINDS.items()}
        for code, status in (own or {}).items():
            if not _LOWEST_ERROR <= status <= _HIGHEST_ERROR:
                raise ConfigurationError(
                    f"statuses[{code!r}] must be an error status, 400 to 599, not {status!r}"
                )
            self._table[code] = status

    def of(self, code: str, *, retryable: bool) -> int:
        """Return the status of *code*; an unknown one is 422, or 503 if it may succeed later."""
        return self._table.get(code) or (_UNAVAILABLE if retryable else _UNPROCESSABLE)


def problem(
    code: str,
    *,
    detail: str | None = None,
    retryable: bool = False,
    status: int | None = None,
    errors: Sequence[Complaint] = (),
    **members: Any,
) -> Problem:
    """Return the problem *code*, complete but for its ``instance``.

    Args:
        code: A key of ``KINDS``, or a code of a handler.
        detail: What happened this time; by default what the code means.
        retryable: Whether the same request or item may succeed later.
        status: The HTTP status; by default the code's own.
        errors: What exactly is wrong.
        **members: Further members of ``Problem``.
    """
    kind = KINDS.get(code, KINDS["failed"])
    return Problem(
        type="/problems/" + code.replace("_", "-"),
        code=code,
        title=kind.title,
        status=status or kind.status,
        detail=detail or kind.meaning,
        retryable=retryable,
        errors=list(errors) or UNSET,
        **members,
    )


def new_instance() -> str:
    """Return an id for one occurrence of a problem, to find it in the log."""
    return uuid.uuid4().urn


def problem_reply(found: Problem, headers: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """Answer a whole request with *found*; ``Retry-After`` follows from ``retry_after_s``."""
    if found.instance is UNSET:
        found.instance = new_instance()
    body = _ENCODER.encode(found)
    fields = [PROBLEM_TYPE, (b"content-length", b"%d" % len(body)), NO_STORE, *headers]
    if found.retry_after_s is not UNSET:
        fields.append((b"retry-after", b"%d" % found.retry_after_s))
    status = KINDS["internal_error"].status if found.status is UNSET else found.status
    return Reply(status, fields, body)
