"""Rows in the text format of COPY, which PostgreSQL reads faster than the binary one; pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from types import NoneType
from typing import Any, NamedTuple

from gristmill.databases.table import Column

_BYTES = 1 << 20
"""Of a message at most: the server refuses one of a gigabyte, and the driver waits between them."""
_ROWS = 2_000
"""Of a piece: the server reads one while the next is made, 1.2 times as fast as one piece of 50 000."""
_NULL = r"\N"
_KINDS: dict[str, type] = {
    "text": str,
    "character varying": str,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "boolean": bool,
}
"""The types of which PostgreSQL stores the same from the text as from the value, and refuses the same."""
_WRITTEN: dict[type, Callable[[Any], str]] = {int: str, bool: lambda value: "t" if value else "f"}


class NoText(Exception):
    """It is not certain that the server takes the text of a value as it takes the value."""


class CopyText:
    """Rows as text.

    Args:
        columns: The values of each column, and the type they must have unless they are None.
    """

    def __init__(self, columns: Sequence[tuple[Sequence[Any], type]]) -> None:
        self._columns = columns
        self._count = len(columns[0][0])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the text, some rows at a time.

        Raises:
            NoText: A value is of another type.
            UnicodeEncodeError: UTF-8 has no such character.
        """
        for piece in self.pieces():
            yield piece

    def pieces(self) -> Iterator[bytes]:
        """Yield the text, some rows at a time, or a part of a large one; see ``__aiter__``."""
        for start in range(0, self._count, _ROWS):
            text = _text([_Values.of(each[start : start + _ROWS], kind) for each, kind in self._columns])
            if len(text) <= _BYTES:
                yield text
            else:
                yield from (text[cut : cut + _BYTES] for cut in range(0, len(text), _BYTES))


class _Values(NamedTuple):
    """Some values of one column.

    Attributes:
        values: Of one type, or None.
        write: Makes a text of one; None where it is one.
        nulls: How many are None.
    """

    values: Sequence[Any]
    write: Callable[[Any], str] | None
    nulls: int

    @classmethod
    def of(cls, values: Sequence[Any], kind: type) -> _Values:
        """Return *values* if they are all of *kind*, or None; raises ``NoText``."""
        kinds = set(map(type, values))
        if not kinds <= {kind, NoneType}:
            raise NoText
        return cls(values, _WRITTEN.get(kind), values.count(None) if NoneType in kinds else 0)

    def texts(self, escape: Callable[[str], str] | None = None) -> Sequence[str]:
        values, write = self.values, self.write or escape
        if self.nulls:
            return [_NULL if value is None else value if write is None else write(value) for value in values]
        return values if write is None else list(map(write, values))


def copy_text(columns: Sequence[Column], values: Sequence[Sequence[Any]]) -> CopyText | None:
    """Return the rows as text; None where that will not do, as far as the first rows tell.

    Args:
        columns: What *values* are written to.
        values: One list a column, not empty.
    """
    kinds = [_KINDS.get(column.type) for column in columns]
    found = [(each, kind) for each, kind in zip(values, kinds, strict=True) if kind is not None]
    if len(found) < len(columns):
        return None
    try:
        for each, kind in found:
            _Values.of(each[:_ROWS], kind)
    except NoText:
        return None
    return CopyText(found)


def _text(columns: Sequence[_Values]) -> bytes:
    """Write rows; counting what parts them tells whether a value holds it too."""
    text = _joined([each.texts() for each in columns])
    count = len(columns[0].values)
    is_plain = (
        text.count("\n") == count
        and text.count("\t") == count * (len(columns) - 1)
        and text.count("\\") == sum([each.nulls for each in columns])
        and "\r" not in text
    )
    return (text if is_plain else _joined([each.texts(_escaped) for each in columns])).encode()


def _joined(columns: Sequence[Sequence[str]]) -> str:
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
