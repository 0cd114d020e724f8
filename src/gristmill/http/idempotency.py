"""``Idempotency-Key``: what a key is, and under what name the queue holds it."""

from __future__ import annotations

import re

from gristmill.http.problems import Refused, problem
from gristmill.model.job import Unique

HELD = 86_400.0
"""Seconds for which a key is held: a day."""

_LONGEST = 255
_VISIBLE = re.compile(rb"[\x21-\x7e]{1,%d}" % _LONGEST)
_QUOTED = re.compile(rb'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPE = re.compile(rb"\\(.)")


def idempotency_key(header: bytes | None) -> str | None:
    r"""Return the key in the header, quoted or bare, or None if there is none.

    Raises:
        Refused: ``invalid_idempotency_key``.

    >>> idempotency_key(b'"8e03978e"'), idempotency_key(b"8e03978e")
    ('8e03978e', '8e03978e')
    """
    if header is None:
        return None
    value = header.strip(b" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        value = _ESCAPE.sub(rb"\1", quoted[1])
    elif b'"' in value or b"," in value:
        raise Refused(problem("invalid_idempotency_key"))
    if _VISIBLE.fullmatch(value) is None:
        raise Refused(problem("invalid_idempotency_key"))
    return value.decode("ascii")


def held_under(key: str, fingerprint: str) -> Unique:
    """Return what holds *key* in the queue for a body of *fingerprint*."""
    return Unique(key=f"idem:{key}", seconds=HELD, fingerprint=fingerprint)
