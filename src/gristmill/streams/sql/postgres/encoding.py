"""Results as CSV for ``COPY``, written in a worker: the server reads them, and the driver passes them on."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import chain
from typing import Any, TypeAlias
from uuid import UUID

import msgspec

from gristmill.codec.results import encode_hook
from gristmill.streams.sql.encoder import TableEncoder, TableRecipe
from gristmill.streams.sql.parts import checked

NULL = "\\N"
"""What stands for NULL, unquoted. A string is always quoted, so that no string is taken for it."""

Cell: TypeAlias = Callable[[Any], Any]

_PLAIN = frozenset((str, int, float, Decimal, bool))
_JSON = msgspec.json.Encoder(enc_hook=encode_hook)


class _Null:
    """NULL as csv writes it: what is a number to it is not quoted, and its text is that of ``str``."""

    def __float__(self) -> float:
        return 0.0

    def __str__(self) -> str:
        return NULL


_NULL = _Null()


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecipe(TableRecipe):
    """Makes encoders of rows as CSV.

    Attributes:
        table: For people.
        kinds: name of a column -> ``json``, ``array`` or nothing: how values of it are to be written.
        is_order_kept: Whether a later row may not be written before an earlier one.
    """

    table: str
    kinds: Mapping[str, str]
    is_order_kept: bool

    def rows(self, result_type: Any) -> TableEncoder:
        """Return an encoder."""
        checked(result_type, self.kinds, self.table)
        return TableEncoder(self.table, self.kinds, self._written, is_order_kept=self.is_order_kept)

    def _written(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
        return _written(rows, [_CELLS.get(self.kinds[name], _cell) for name in columns])


def _written(rows: Sequence[Sequence[Any]], cells: Sequence[Cell]) -> bytes:
    kinds = set(map(type, chain.from_iterable(rows)))
    if not kinds <= _PLAIN or any(cell is not _cell for cell in cells):
        rows = [[cell(value) for cell, value in zip(cells, row, strict=True)] for row in rows]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:  # noqa: PLR0911 - one for each kind of type
    kind = type(value)
    if kind in _PLAIN:
        return value
    if value is None:
        return _NULL
    if kind in (bytes, bytearray, memoryview):
        return "\\x" + value.hex()
    if kind in (datetime, date, time):
        return value.isoformat()
    if kind is UUID:
        return str(value)
    if isinstance(value, timedelta):
        return msgspec.to_builtins(value)
    if isinstance(value, Enum):
        return _cell(value.value)
    if isinstance(value, str | int | float):  # a subclass of them
        return value
    plain = msgspec.to_builtins(value, enc_hook=encode_hook)
    return _cell(plain) if isinstance(plain, str | int | float | None) else _JSON.encode(plain).decode()


def _json_cell(value: Any) -> Any:
    """Return JSON; a string is taken for JSON already, as a cast in SQL does."""
    if value is None:
        return _NULL
    return value if isinstance(value, str) else _JSON.encode(value).decode()


def _array_cell(value: Any) -> Any:
    """Return an array literal; a string is taken for one."""
    if value is None:
        return _NULL
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple | set | frozenset):
        listed = getattr(value, "tolist", None)
        if not callable(listed):
            return _cell(value)
        value = listed()
    return "{" + ",".join(map(_element, value)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return str(_array_cell(value))
    text = str(_cell(value))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_CELLS: Mapping[str, Cell] = {"json": _json_cell, "array": _array_cell}


def records(data: bytes) -> list[bytes]:
    """Return the records of what an encoder of ``CopyRecipe`` wrote; a string may have line ends in it."""
    found: list[bytes] = []
    open_lines: list[bytes] = []
    is_quoted = False
    for line in data.removesuffix(b"\n").split(b"\n"):
        open_lines.append(line + b"\n")
        if line.count(b'"') % 2:
            is_quoted = not is_quoted
        if not is_quoted:
            found.append(b"".join(open_lines))
            open_lines = []
    return found
