"""Columns of text become columns of types, and each cell that does not fit is found."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.streams.formats.column_types import BOOL, EXACT_DIGITS, FLOAT, INT, ColumnType

_SHOWN = 40
_DECIMAL = re.compile(r"decimal\((\d+), ?(\d+)\)")


@lru_cache(maxsize=64)
def arrow_type(name: str) -> Any:
    """Return the ``pyarrow.DataType`` called *name*, one that ``parse_types`` lets pass."""
    decimal = _DECIMAL.fullmatch(name)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    return pa.type_for_alias(name)


def cast_text(texts: Any, wanted: ColumnType) -> tuple[Any, dict[int, str]]:
    """Return *texts* as the type *wanted*: empty ones as null; index -> why of those that do not fit.

    Args:
        texts: A string array without nulls.
        wanted: Their type.
    """
    kind = arrow_type(wanted.name)
    if pa.types.is_string(kind):
        return texts, {}
    lengths = pc.min_max(pc.binary_length(texts)).as_py() if len(texts) else {"min": 1, "max": 1}
    filled = texts if lengths["min"] else pc.if_else(pc.equal(texts, ""), None, texts)
    loses = _losing(filled, wanted.name, lengths) if wanted.is_inferred else None
    bad: dict[int, str] = {}
    if loses is not None:
        bad = _said(texts, pc.indices_nonzero(loses).to_pylist(), wanted.name)
        filled = pc.if_else(pc.fill_null(loses, False), None, filled)
    try:
        return pc.cast(filled, kind), bad
    except pa.ArrowInvalid:
        unfit = misfits(filled, lambda part: pc.cast(part, kind), _suspects(filled, wanted.name))
    bad |= _said(texts, unfit, wanted.name)
    return pc.cast(without(filled, unfit), kind), bad


def without(array: Any, indices: list[int]) -> Any:
    """Return *array* with null at *indices*."""
    mask = bytearray(b"\1") * len(array)
    for index in indices:
        mask[index] = 0
    kept = pc.cast(pa.Array.from_buffers(pa.uint8(), len(array), [None, pa.py_buffer(mask)]), pa.bool_())
    return pc.if_else(kept, array, pa.scalar(None, array.type))


def misfits(array: Any, cast: Callable[[Any], Any], suspects: list[int] | None = None) -> list[int]:
    """Return the indices in *array* for whose values *cast* raises, in order.

    Args:
        array: Any.
        cast: Raises ``ArrowInvalid`` for a slice with a value that does not fit.
        suspects: Where such values are for sure; the rest is halved until each stands alone.
    """
    found = set(suspects or ())
    rest = without(array, sorted(found)) if found else array
    waiting = [(0, len(rest))]
    while waiting:
        start, stop = waiting.pop()
        try:
            cast(rest.slice(start, stop - start))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if stop - start == 1:
                found.add(start)
                continue
            middle = (start + stop) // 2
            waiting += [(start, middle), (middle, stop)]
    return sorted(found)


def _suspects(texts: Any, name: str) -> list[int]:
    """Return where *texts* have no number at all, so that these need not be found by halving."""
    if name.startswith(("int", "uint")):
        pattern = r"^-?[0-9]+$"
    elif name in (FLOAT, "float", "float32", "float64"):
        pattern = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|^[-+]?[iInN]"
    else:
        return []
    is_number = pc.match_substring_regex(texts, pattern)
    found: list[int] = pc.indices_nonzero(pc.invert(is_number)).to_pylist()
    return found


def _losing(texts: Any, name: str, lengths: dict[str, int]) -> Any:
    """Return which of *texts* would be read as something else than they say; None if none would."""
    loses = None
    if name == INT and lengths["max"] > 1:
        zero, minus = pc.starts_with(texts, "0"), pc.starts_with(texts, "-0")
        if pc.any(zero).as_py() or pc.any(minus).as_py():
            loses = pc.or_(pc.and_(zero, pc.greater(pc.binary_length(texts), 1)), minus)
    elif name == FLOAT and lengths["max"] > EXACT_DIGITS:
        digits = pc.utf8_length(pc.replace_substring_regex(texts, r"[-+.]|[eE].*", ""))
        loses = pc.greater(digits, EXACT_DIGITS)
    elif name == BOOL and lengths["min"] <= 1:
        loses = pc.or_(pc.equal(texts, "0"), pc.equal(texts, "1"))
    return loses if loses is not None and pc.any(loses).as_py() else None


def _said(texts: Any, indices: list[int], name: str) -> dict[int, str]:
    return {index: f"{_shown(texts[index].as_py())} is not {name}" for index in indices}


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")
