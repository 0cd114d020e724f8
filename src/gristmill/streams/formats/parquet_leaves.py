"""What a flat column of a Parquet file is, so that two files' columns can be told to be the same.

Older writers say with a converted type what newer ones say with a logical
one, and some mark plain integers as integers; both are one thing here.
Field ids are those of ``parquet.thrift`` in the Apache parquet-format project.
"""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.streams.formats.parquet_footer import structs_of
from gristmill.streams.formats.thrift_tree import FALSE, I8, STRUCT, TRUE, Struct

_TYPE, _LENGTH, _REPETITION, _NAME, _CHILDREN, _CONVERTED, _LOGICAL = (
    1, 2, 3, 4, 5, 6, 10,
)  # fmt: skip
_REPEATED = 2
_INTEGER = 10  # LogicalType
_INT32, _INT64 = 1, 2  # Type


@dataclass(frozen=True, slots=True)
class Leaf:
    """What decides how the pages of a column are read; its name and field id do not.

    Attributes:
        physical: The type of its values.
        length: Bytes of a value of a fixed length.
        repetition: Whether it may be null.
        logical: What the values mean; None where the physical type says all.
    """

    physical: int | None
    length: int | None
    repetition: int | None
    logical: Struct | None


def flat_leaves(schema: bytes) -> list[tuple[str, Leaf | None]]:
    """Return the name of each leaf column, and what it is.

    Args:
        schema: The list of elements of a footer, as it is encoded.

    Returns:
        In the order of the column chunks. None for a leaf that is part of a
        nested column, is repeated, or has a type that only older files have.
    """
    found: list[tuple[str, Leaf | None]] = []
    inside = 0  # elements still to come of the nested column that is passed
    for element in structs_of(schema)[1:]:
        children = element.integer(_CHILDREN) or 0
        name = element.fields.get(_NAME, (0, b""))[1]
        if not children:
            text = name.decode(errors="replace") if isinstance(name, bytes) else ""
            found.append((text, None if inside else _leaf(element)))
        inside = max(0, inside - 1) + children
    return found


def _leaf(element: Struct) -> Leaf | None:
    physical, repetition = element.integer(_TYPE), element.integer(_REPETITION)
    logical = element.fields.get(_LOGICAL, (0, None))[1]
    converted = element.integer(_CONVERTED)
    if logical is None and converted is not None:
        logical = _CONVERTED_TYPES.get(converted)
        if logical is None:
            return None
    if repetition == _REPEATED or not (logical is None or isinstance(logical, Struct)):
        return None
    if (physical, logical) in _PLAIN_INTEGERS:
        logical = None
    return Leaf(physical, element.integer(_LENGTH), repetition, logical)


def _union(field: int, value: Struct) -> Struct:
    return Struct({field: (STRUCT, value)})


def _integer(bits: int, *, is_signed: bool) -> Struct:
    return _union(_INTEGER, Struct({1: (I8, bytes((bits,))), 2: (TRUE if is_signed else FALSE, None)}))


_CONVERTED_TYPES = {
    0: _union(1, Struct({})),  # UTF8: STRING
    6: _union(6, Struct({})),  # DATE
    11: _integer(8, is_signed=False),
    12: _integer(16, is_signed=False),
    13: _integer(32, is_signed=False),
    14: _integer(64, is_signed=False),
    15: _integer(8, is_signed=True),
    16: _integer(16, is_signed=True),
    17: _integer(32, is_signed=True),
    18: _integer(64, is_signed=True),
}
"""ConvertedType -> LogicalType, of those that mean one thing."""
_PLAIN_INTEGERS = ((_INT32, _integer(32, is_signed=True)), (_INT64, _integer(64, is_signed=True)))
