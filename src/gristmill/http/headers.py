"""The few request headers our routes read, and what they ask for. Pure functions on ASGI header lists."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from gristmill.http.problems import Refused, problem

RawHeaders: TypeAlias = Collection[tuple[bytes, bytes]]

JSON = b"application/json"
NDJSON = b"application/x-ndjson"
CSV = b"text/csv"
TSV = b"text/tab-separated-values"


class Form(StrEnum):
    """How the items of a body are written."""

    JSON = "json"
    LINES = "lines"
    CSV = "csv"
    TSV = "tsv"


class Wanted(NamedTuple):
    """What ``Prefer`` asks for, as far as we do it.

    Attributes:
        strict: Run nothing unless every item is valid.
        minimal: Leave the items that succeeded out of the answer.
        respond_async: Make it a job of the durable queue.
        wait: Seconds to wait for a job before it is answered; None asks for nothing.
    """

    strict: bool = False
    minimal: bool = False
    respond_async: bool = False
    wait: int | None = None

    def applied(self) -> list[tuple[bytes, bytes]]:
        """Return the ``Preference-Applied`` header of a batch, if there is anything to tell."""
        return _applied([b"handling=strict"] * self.strict + [b"return=minimal"] * self.minimal)

    def applied_to_job(self) -> list[tuple[bytes, bytes]]:
        """Return the ``Preference-Applied`` header of a job, if there is anything to tell."""
        names = [b"handling=strict"] * self.strict + [b"respond-async"] * self.respond_async
        return _applied(names if self.wait is None else [*names, b"wait=%d" % self.wait])


def _applied(names: list[bytes]) -> list[tuple[bytes, bytes]]:
    return [(b"preference-applied", b", ".join(names))] if names else []


_FORMS = {JSON: Form.JSON, NDJSON: Form.LINES, CSV: Form.CSV, TSV: Form.TSV}
_WAIT = re.compile(rb"wait=(\d{1,9})")

NOTHING_WANTED = Wanted()


def read_headers(headers: RawHeaders) -> dict[bytes, bytes]:
    """Return the headers by name; one that came twice is joined by a comma, as HTTP says."""
    found = dict(headers)
    if len(found) == len(headers):
        return found
    found.clear()
    for name, value in headers:
        found[name] = found[name] + b", " + value if name in found else value
    return found


def form_of(content_type: bytes | None, accepted: Sequence[bytes]) -> Form:
    """Return how a body of *content_type* is written.

    Args:
        content_type: The header, or None if there was none.
        accepted: The media types of the route; ``JSON`` includes every ``+json``.

    Raises:
        Refused: ``unsupported_media_type``, with ``Accept-Post``.
    """
    if content_type == JSON and JSON in accepted:
        return Form.JSON
    media, *parameters = (content_type or b"").lower().split(b";")
    media = media.strip()
    if media.endswith(b"+json") and media.count(b"/") == 1 and b"," not in media:
        media = JSON
    if media in accepted and all(map(_is_utf8, parameters)):
        return _FORMS[media]
    shown = b", ".join(accepted)
    raise Refused(
        problem("unsupported_media_type", detail=f"send {shown.decode()} in UTF-8"),
        (b"accept-post", shown),
    )


def _is_utf8(parameter: bytes) -> bool:
    name, _, value = parameter.strip().partition(b"=")
    return name != b"charset" or value.strip(b'"') in (b"utf-8", b"utf8")


def is_gzipped(content_encoding: bytes | None, *, accepted: bool = True) -> bool:
    """Tell whether the body is gzip.

    Args:
        content_encoding: The header, or None if there was none.
        accepted: Whether this route takes gzip.

    Raises:
        Refused: ``unsupported_encoding``, with ``Accept-Encoding``.
    """
    coding = (content_encoding or b"identity").strip().lower()
    if coding in (b"", b"identity"):
        return False
    if coding in (b"gzip", b"x-gzip") and accepted:
        return True
    shown = b"gzip" if accepted else b"identity"
    raise Refused(
        problem(
            "unsupported_encoding", detail=f"send the body with content coding {shown.decode()}, or none"
        ),
        (b"accept-encoding", shown),
    )


def wanted(prefer: bytes | None) -> Wanted:
    """Return what ``Prefer`` asks for; what we do not know is ignored, as RFC 7240 says."""
    if prefer is None:
        return NOTHING_WANTED
    asked = {
        token.partition(b";")[0].replace(b" ", b"").replace(b'"', b"").lower() for token in prefer.split(b",")
    }
    waits = [int(found[1]) for token in asked if (found := _WAIT.fullmatch(token)) is not None]
    return Wanted(
        strict=b"handling=strict" in asked,
        minimal=b"return=minimal" in asked,
        respond_async=b"respond-async" in asked,
        wait=min(waits, default=None),
    )
