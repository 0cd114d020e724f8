"""Python values as asyncpg takes them, a column at a time; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.databases.rows import as_scalar
from gristmill.databases.table import Column, Family

_JSON = msgspec.json.Encoder(enc_hook=encode_hook)
_SCALARS = (date, time, timedelta, UUID, Decimal)
_TIMES: dict[str, Callable[[str], Any]] = {
    "date": date.fromisoformat,
    "timestamp without time zone": datetime.fromisoformat,
    "timestamp with time zone": datetime.fromisoformat,
    "time without time zone": time.fromisoformat,
    "time with time zone": time.fromisoformat,
}


def adapted(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return *values* of *column* as its driver takes them: Enums by their values, ISO 8601 text as times.

    The types that occur are looked at once; most columns need no change. A
    value that fits nothing stays as it is, and the driver refuses its row.
    """
    kinds = set(map(type, values))
    if column.family is Family.JSON:
        return list(map(_json, values))
    if any(issubclass(kind, Enum) for kind in kinds):
        values = [_plain(value) for value in values]
        kinds = set(map(type, values))
    if column.family is Family.TIME and str in kinds:
        parse = _TIMES[column.type]
        return [_parsed(parse, value) for value in values]
    if column.family is Family.TEXT and not kinds <= {str, type(None)}:
        return [as_scalar(value) if isinstance(value, _SCALARS) else value for value in values]
    return values


def _plain(value: Any) -> Any:
    """Return the value of an Enum; the text of one that is a text, as the driver takes it by itself."""
    if isinstance(value, str):
        return str.__str__(value)
    return value.value if isinstance(value, Enum) else value


def _json(value: Any) -> Any:
    """Return JSON text; a string is taken for JSON already, as a cast in SQL does."""
    if value is None or isinstance(value, str):
        return value
    try:
        return _JSON.encode(value).decode()
    except Exception:  # noqa: BLE001 - whatever a hook raises; the driver refuses the value itself
        return value


def _parsed(parse: Callable[[str], Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except ValueError:
        return value


def json_readers(columns: Sequence[Column]) -> list[int]:
    """Return the places of the columns whose answers are JSON text."""
    return [place for place, column in enumerate(columns) if column.family is Family.JSON]


def with_json(row: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """Return *row* with the JSON at *places* decoded."""
    values = list(row)
    for place in places:
        if values[place] is not None:
            values[place] = msgspec.json.decode(values[place])
    return values
