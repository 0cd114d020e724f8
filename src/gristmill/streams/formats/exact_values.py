"""Whether values go into a type of Arrow whole: some are cut there without a word."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_DIGITS, _LONG_DIGITS = 38, 76


@lru_cache(maxsize=256)
def may_cut(kind: Any) -> bool:
    """Tell whether Arrow takes values as *kind* of which it would keep a part only.

    These are structs, which drop the entries they do not have, and times, which take numbers for ticks,
    drop the time of day for a date, and take the zone away or one for granted.
    """
    types = pa.types
    if types.is_struct(kind) or types.is_temporal(kind):
        return True
    if types.is_map(kind):
        return may_cut(kind.key_type) or may_cut(kind.item_type)
    return _is_list(kind) and may_cut(kind.value_type)


def _is_list(kind: Any) -> bool:
    types = pa.types
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)  # type: ignore[no-any-return]


def is_cut(value: Any, kind: Any) -> bool:
    """Tell whether *value* would lose a part as *kind*; not whether it is of that type at all."""
    types = pa.types
    if value is None or not may_cut(kind):
        return False
    if types.is_struct(kind):
        if not isinstance(value, Mapping):
            return True
        inner = {field.name: field.type for field in kind}
        return not value.keys() <= inner.keys() or any(
            is_cut(each, inner[name]) for name, each in value.items()
        )
    if types.is_map(kind):
        pairs = value.items() if isinstance(value, Mapping) else value
        return any(is_cut(name, kind.key_type) or is_cut(each, kind.item_type) for name, each in pairs)
    if types.is_temporal(kind):
        return not _is_of_time(value, kind)
    return any(is_cut(each, kind.value_type) for each in value)


def _is_of_time(value: Any, kind: Any) -> bool:
    if isinstance(value, int | float):
        return False
    if isinstance(value, dt.datetime):
        return pa.types.is_timestamp(kind) and (value.tzinfo is None) == (kind.tz is None)
    return not (isinstance(value, dt.time) and value.tzinfo is not None)


def falls_short(kind: Any, given: Any) -> bool:
    """Tell whether *kind*, inferred from some values, may not hold others of a column of the type *given*.

    Args:
        kind: None if the values have no type in common.
        given: Of the column that they are of.
    """
    types = pa.types
    if kind is None or types.is_null(kind) or (types.is_map(given) and not types.is_map(kind)):
        return True
    if types.is_integer(kind):
        return types.is_uint64(given)  # type: ignore[no-any-return]
    if types.is_decimal(kind):
        return types.is_decimal256(given)  # type: ignore[no-any-return]
    if types.is_struct(kind) and types.is_struct(given):
        others = {field.name: field.type for field in kind}
        return any(falls_short(others.get(field.name), field.type) for field in given)
    if _is_list(kind) and _is_list(given):
        return falls_short(kind.value_type, given.value_type)
    return False


def widest_decimal(kind: Any) -> Any:
    """Return the decimal type with the most digits that has the scale of *kind*."""
    if pa.types.is_decimal256(kind):
        return pa.decimal256(_LONG_DIGITS, kind.scale)
    return pa.decimal128(_DIGITS, kind.scale)


def cast_whole(array: Any, kind: Any) -> Any:
    """Return *array* as *kind*.

    Raises:
        pyarrow.ArrowInvalid: A value is none of that type, or loses a part: it does not come back as it was.
        pyarrow.ArrowNotImplementedError: There is no such cast.
    """
    found = pc.cast(array, kind)
    if pa.types.is_string(array.type) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return found  # a text says all there is, and may say it in several ways
    try:
        back = pc.cast(found, array.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return found  # there is no way back to look at
    if not _without_nan(back).equals(_without_nan(array)):
        raise pa.ArrowInvalid(f"a value of {array.type} loses a part as {kind}")
    return found


def _without_nan(array: Any) -> Any:
    """Return *array* with null for NaN, which is equal to nothing."""
    if not pa.types.is_floating(array.type):
        return array
    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
