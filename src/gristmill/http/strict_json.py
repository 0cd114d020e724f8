"""What counts as JSON here, and the exact answer when a body does not.

Strict: UTF-8 without a byte order mark, no NaN or Infinity, no number that
does not fit, no lone surrogates, no deeper nesting than the limit.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import msgspec

from gristmill.http.depth import exceeds_depth
from gristmill.http.problems import Refused, problem
from gristmill.http.settings import HttpLimits

_PLAIN = msgspec.json.Decoder()
_BYTE = re.compile(r"\(byte (\d+)\)")
_ESCAPES = re.compile(rb"\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)", re.DOTALL)


def check_text(text: bytes | bytearray, limits: HttpLimits, *, apart: int = 0) -> None:
    """Refuse *text* for its nesting, its encoding or its doubled keys, before anything uses it.

    Args:
        text: JSON.
        limits: For the nesting, and whether keys may be doubled.
        apart: As ``exceeds_depth`` takes it.

    Raises:
        Refused: ``too_deep``, ``malformed_json`` or ``duplicate_key``.
    """
    if exceeds_depth(text, limits.depth, apart):
        raise Refused(
            problem("too_deep", detail=f"nesting is limited to {limits.depth}", limit_depth=limits.depth)
        )
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise Refused(_malformed("not UTF-8", error.start)) from error
    if limits.strict_keys:
        _refuse_doubled_keys(text)


def decode_plain(text: bytes | bytearray) -> Any:
    """Return *text* as builtins.

    Raises:
        Refused: ``malformed_json``, with the byte offset where it is known.
    """
    try:
        return _PLAIN.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise_malformed(text, error)


def raise_malformed(text: bytes | bytearray, error: Exception) -> NoReturn:
    """Raise the refusal for *text*, which msgspec would not read because of *error*."""
    message = str(error)
    if isinstance(error, msgspec.ValidationError):
        raise Refused(_malformed("a number is out of range", None)) from error
    if isinstance(error, UnicodeDecodeError):
        raise Refused(_malformed("not UTF-8", error.start)) from error
    for escape in _ESCAPES.finditer(text):
        if escape[1]:
            raise Refused(_malformed("a lone surrogate", escape.start())) from error
    if "truncated" in message:
        raise Refused(_malformed("it ends too early", len(text))) from error
    found = _BYTE.search(message)
    past = "trailing" in message  # there msgspec counts the byte it stopped at as read
    what = message.removeprefix("JSON is malformed: ").partition(" (byte")[0]
    raise Refused(_malformed(what, int(found[1]) - past if found else None)) from error


def _malformed(what: str, offset: int | None) -> Any:
    if offset is None:
        return problem("malformed_json", detail=f"the body is not JSON: {what}")
    return problem("malformed_json", detail=f"the body is not JSON: {what}, at byte {offset}", offset=offset)


class _DoubledKey(ValueError):
    """An object of the text has a key twice."""


def _refuse_doubled_keys(text: bytes | bytearray) -> None:
    try:
        json.loads(text, object_pairs_hook=_single_keys)
    except _DoubledKey as error:
        raise Refused(problem("duplicate_key")) from error
    except ValueError:
        return  # not JSON at all: the strict parser says where


def _single_keys(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _DoubledKey
