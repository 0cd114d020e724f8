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
from gristmill.errors import ConfigurationError
from gristmill.streams.sql.fields import Group
from gristmill.streams.sql.parts import COLUMNS, Part, checked, dump_parts, groups_of, indices_of

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
class CopyRecipe:
    """Makes ``CopyEncoder``.

    Attributes:
        table: For people.
        kinds: name of a column -> ``json``, ``array`` or nothing: how values of it are to be written.
        is_order_kept: Whether a later row may not be written before an earlier one.
    """

    table: str
    kinds: Mapping[str, str]
    is_order_kept: bool

    @property
    def needs_layout(self) -> bool:
        """Never: the table has its columns."""
        return False

    def rows(self, result_type: Any) -> CopyEncoder:
        """Return an encoder."""
        checked(result_type, self.kinds, self.table)
        return CopyEncoder(self)

    def columns(self) -> Any:
        """Return an encoder of columns."""
        raise ConfigurationError(COLUMNS)


class CopyEncoder:
    """Writes rows as CSV, grouped by their columns."""

    def __init__(self, recipe: CopyRecipe) -> None:
        self._recipe = recipe
        self._known = frozenset(recipe.kinds)

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
        cells = [_CELLS.get(self._recipe.kinds[name], _cell) for name in group.columns]
        try:
            data = _written(group.rows, cells)
        except (TypeError, ValueError):  # one of them; it is said of that one
            for index, row in zip(group.indices, group.rows, strict=True):
                try:
                    _written([row], cells)
                except (TypeError, ValueError) as error:
                    bad[index] = f"the result cannot be written to the table: {error}"
            kept = [place for place, index in enumerate(group.indices) if index not in bad]
            group = Group(
                group.columns, [group.indices[each] for each in kept], [group.rows[each] for each in kept]
            )
            data = _written(group.rows, cells)
        return Part(columns=group.columns, indices=indices_of(group, total), count=len(group.rows), data=data)


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
    """Return the records of what ``CopyEncoder`` wrote; a string may have line ends in it."""
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
