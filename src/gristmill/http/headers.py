"""The few request headers our routes read, and what they ask for. Pure functions on ASGI header lists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from gristmill.http.problems import Refused, problem

RawHeaders: TypeAlias = Collection[tuple[bytes, bytes]]

JSON = b"application/json"
NDJSON = b"application/x-ndjson"


class Form(StrEnum):
    """How the items of a body are written."""

    JSON = "json"
    LINES = "lines"


class Wanted(NamedTuple):
    """What ``Prefer`` asks of a batch, as far as we do it.

    Attributes:
        strict: Run nothing unless every item is valid.
        minimal: Leave the items that succeeded out of the answer.
    """

    strict: bool = False
    minimal: bool = False

    def applied(self) -> list[tuple[bytes, bytes]]:
        """Return the ``Preference-Applied`` header, if there is anything to tell."""
        names = [b"handling=strict"] * self.strict + [b"return=minimal"] * self.minimal
        return [(b"preference-applied", b", ".join(names))] if names else []


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
        return Form.LINES if media == NDJSON else Form.JSON
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
    return Wanted(strict=b"handling=strict" in asked, minimal=b"return=minimal" in asked)
