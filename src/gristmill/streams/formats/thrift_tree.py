"""The tree that an encoded Thrift struct is: field ids, kinds and values, without a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.errors import ParquetInvalid

TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT, UUID = range(1, 14)
"""The kinds of values, as fields are marked with them; a bool is its kind."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A value of any kind, kept as it is encoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Items:
    """A list or set: the kind of its elements, and the elements; a bool is the byte it is written as."""

    kind: int
    items: list[Value]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A map: the kinds of its keys and values (0 and 0 when empty), and its entries in order."""

    key_kind: int
    value_kind: int
    items: list[tuple[Value, Value]]


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct: field id -> (kind, value), in the order of the bytes.

    A value is an ``int`` for the integers, ``bytes`` for binary, string,
    double and UUID, and None for a bool, whose kind (``TRUE``, ``FALSE``) says all.
    """

    fields: dict[int, tuple[int, Value]]

    def integer(self, field: int) -> int | None:
        """Return an integer field, or None if it is not there; another kind raises ``ParquetInvalid``."""
        value = self.fields.get(field, (0, None))[1]
        if value is None or isinstance(value, int):
            return value
        raise ParquetInvalid(
            f"Field {field} should be an integer and is a {type(value).__name__}; the file is damaged."
        )

    def structs(self, field: int) -> list[Struct]:
        """Return a list of structs, empty if it is not there; another kind raises ``ParquetInvalid``."""
        value = self.fields.get(field, (0, Items(STRUCT, [])))[1]
        if isinstance(value, Items):
            found = [item for item in value.items if isinstance(item, Struct)]
            if len(found) == len(value.items):
                return found
        raise ParquetInvalid(f"Field {field} should be a list of structs and is not; the file is damaged.")

    def replace(self, field: int, value: Value) -> None:
        """Change the value of a field that is there; its kind and place stay."""
        self.fields[field] = (self.fields[field][0], value)


Value: TypeAlias = int | bytes | Raw | Items | Pairs | Struct | None

Shape: TypeAlias = Mapping[int, "Shape | None"]
"""Which fields of a struct, or of each struct of a list, to open, and how far.

None opens all that is below; fields that are not named stay ``Raw``.
"""
