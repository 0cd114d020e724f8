"""Keys that rows are looked up by, as they are given and as they are compared; pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from typing import Any
from uuid import UUID

from gristmill.databases.rows import as_scalar
from gristmill.errors import ConfigurationError


def as_key(key: Any) -> Any:
    """Return *key*; one of several columns may come as a list, as JSON has no tuples.

    Raises:
        ConfigurationError: Neither a value nor a tuple of values.
    """
    plain = tuple(key) if isinstance(key, list) else key
    try:
        hash(plain)
    except TypeError as error:
        kind = type(key).__name__
        raise ConfigurationError(f"a key is a value, or a tuple of them, and not {kind}") from error
    return plain


def plain_key(key: Any, uuids: Sequence[bool]) -> Any:
    """Return *key* so that what is asked for meets what is stored: a UUID as text, an Enum as its value.

    Args:
        key: Asked for, or stored.
        uuids: Of each column of the key, whether it is of UUIDs, which have several forms as text.
    """
    if isinstance(key, tuple) and len(uuids) > 1:
        return tuple(map(_plain_value, key, uuids))
    return _plain_value(key, uuids[0])


def _plain_value(value: Any, is_uuid: bool) -> Any:  # noqa: FBT001 - to map over
    if is_uuid and isinstance(value, str):
        with suppress(ValueError):
            return str(UUID(value))
    return as_scalar(value) if isinstance(value, UUID | Enum) else value
