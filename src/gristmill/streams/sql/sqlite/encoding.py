"""Results as rows of SQLite's types, written in a worker as MessagePack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.streams.sql.encoder import TableEncoder, TableRecipe
from gristmill.streams.sql.parts import checked

_PLAIN = frozenset((str, int, float, bytes, bool, type(None)))
_JSON = msgspec.json.Encoder(enc_hook=encode_hook)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[list[Any]])
_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesRecipe(TableRecipe):
    """Makes encoders of numbers, texts and blobs.

    Times are ISO 8601, lists and objects JSON, truths 0 and 1.

    Attributes:
        table: For people.
        names: The columns that can be written.
        is_order_kept: Whether a later row may not be written before an earlier one.
    """

    table: str
    names: tuple[str, ...]
    is_order_kept: bool

    def rows(self, result_type: Any) -> TableEncoder:
        """Return an encoder."""
        checked(result_type, self.names, self.table)
        return TableEncoder(self.table, self.names, _written, is_order_kept=self.is_order_kept)


def _written(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:  # noqa: ARG001 - of any names
    return _ENCODER.encode(_values(rows))


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
