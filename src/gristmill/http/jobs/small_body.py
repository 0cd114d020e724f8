"""The small JSON objects that some job routes take: read whole, checked member by member."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from gristmill.http.codec import complaints_of
from gristmill.http.drain import Drain
from gristmill.http.headers import JSON, form_of
from gristmill.http.jobs.body import Incoming
from gristmill.http.jobs.call import Call
from gristmill.http.problems import Refused, problem
from gristmill.http.settings import HttpLimits
from gristmill.http.strict_json import check_text, decode_plain

T = TypeVar("T")


async def read_options(call: Call, kind: type[T], limits: HttpLimits, drain: Drain) -> T:
    """Return the body as a *kind*; one without members for an empty body.

    Raises:
        Refused: ``unsupported_media_type``, ``malformed_json``, ``invalid_option``, or as ``Incoming.whole``.
    """
    body = await Incoming(call.headers, call.receive, limits, limits.item_bytes, drain).whole()
    if not body.strip():
        return kind()
    form_of(call.headers.get(b"content-type"), (JSON,))
    check_text(body, limits)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        decode_plain(body)
        raise Refused(problem("invalid_option", errors=complaints_of(error, "#"))) from error
