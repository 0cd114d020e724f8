"""Results as rows of SQLite's types, written in a worker as MessagePack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.errors import ConfigurationError
from gristmill.streams.sql.fields import Group
from gristmill.streams.sql.parts import COLUMNS, Part, checked, dump_parts, groups_of, indices_of

_PLAIN = frozenset((str, int, float, bytes, bool, type(None)))
_JSON = msgspec.json.Encoder(enc_hook=encode_hook)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[list[Any]])
_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesRecipe:
    """Makes ``ValuesEncoder``.

    Attributes:
        table: For people.
        names: The columns that can be written.
        is_order_kept: Whether a later row may not be written before an earlier one.
    """

    table: str
    names: tuple[str, ...]
    is_order_kept: bool

    @property
    def needs_layout(self) -> bool:
        """Never: the table has its columns."""
        return False

    def rows(self, result_type: Any) -> ValuesEncoder:
        """Return an encoder."""
        checked(result_type, self.names, self.table)
        return ValuesEncoder(self)

    def columns(self) -> Any:
        """Return an encoder of columns."""
        raise ConfigurationError(COLUMNS)


class ValuesEncoder:
    """Writes numbers, texts and blobs: times as ISO 8601, lists and objects as JSON, truths as 0 and 1."""

    def __init__(self, recipe: ValuesRecipe) -> None:
        self._recipe = recipe
        self._known = frozenset(recipe.names)

    @property
    def is_joinable(self) -> bool:
        """A body has its parts counted."""
        return False

    def layout(self, results: Sequence[Any]) -> bytes | None:  # noqa: ARG002 - the table has it
        """Return nothing."""
        return None

    def encode(
        self,
        results: Sequence[Any],
        layout: bytes | None,  # noqa: ARG002 - as above
    ) -> tuple[bytes, Mapping[int, str]]:
        """Return the body, and index -> why of results that cannot be written."""
        recipe = self._recipe
        groups, bad = groups_of(results, self._known, recipe.table, is_order_kept=recipe.is_order_kept)
        parts = [self._part(group, len(results), bad) for group in groups]
        return dump_parts([part for part in parts if part.count]), bad

    def _part(self, group: Group, total: int, bad: dict[int, str]) -> Part:
        try:
            data = _ENCODER.encode(_values(group.rows))
        except Exception:  # noqa: BLE001 - one of them; it is said of that one
            rows, indices = [], []
            for index, row in zip(group.indices, group.rows, strict=True):
                try:
                    _ENCODER.encode(_values([row]))
                except Exception as error:  # noqa: BLE001 - a hook may raise what it likes
                    bad[index] = f"the result cannot be written to the table: {error}"
                else:
                    rows.append(row)
                    indices.append(index)
            group = Group(group.columns, indices, rows)
            data = _ENCODER.encode(_values(rows))
        return Part(columns=group.columns, indices=indices_of(group, total), count=len(group.rows), data=data)


def _values(rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    if set(map(type, chain.from_iterable(rows))) <= _PLAIN:
        return rows
    return [[_value(each) for each in row] for row in rows]


def _value(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Enum):
        return _value(value.value)
    plain = msgspec.to_builtins(value, enc_hook=encode_hook)
    return plain if type(plain) in _PLAIN else _JSON.encode(plain).decode()


def load_rows(data: bytes) -> list[list[Any]]:
    """Return the rows of a part."""
    return _DECODER.decode(data)


def is_too_large(value: Any) -> bool:
    """Tell whether *value* is an integer beyond SQLite's 64 bits."""
    return isinstance(value, int) and not -_LIMIT <= value < _LIMIT
