"""Columns of values become cells of CSV, column by column: what needs no quotes is never looked at twice.

The module ``csv`` looks at every character of every cell. Here a column is
joined once to see whether it holds a delimiter, a quote or a line end at all;
only in those that do are cells quoted one by one. The bytes are those that
``csv.writer`` writes with ``QUOTE_MINIMAL``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook

_PLAIN = frozenset((str, int, float, type(None)))
"""Types whose text csv writes as it should be: None as nothing, numbers as they are."""
_NUMBERS = frozenset((int, float))
_DIGITS = b"0123456789.,-"
_IN_NUMBERS = "0123456789.-+einfa"
"""Characters that the text of a number may have."""


def lines_of(columns: Sequence[Sequence[Any]], delimiter: str) -> str:
    r"""Return the lines of a table, each ended by ``\n``; empty without rows.

    Args:
        columns: The values of each column, all as long; at least one.
        delimiter: One character.
    """
    return joined([cells_of(column, delimiter)[0] for column in columns], delimiter)


def joined(cells: list[Sequence[str]], delimiter: str) -> str:
    """Return the lines of a table whose *cells* stand in quotes where they must, as ``lines_of`` does."""
    if len(cells) == 1:  # a lone empty cell would be an empty line, which is no row
        cells[0] = [cell or '""' for cell in cells[0]]
    text = "\n".join(map(delimiter.join, zip(*cells, strict=True)))
    return text + "\n" if text else ""


def cells_of(values: Sequence[Any], delimiter: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return the cells of a column, and those of them that are in quotes.

    Args:
        values: Of the column.
        delimiter: One character.

    Returns:
        *values* themselves and nothing if they are strings that need no quotes.
    """
    with contextlib.suppress(TypeError):  # one of them is no string
        return _quoted(values, delimiter)
    kinds = set(map(type, values))
    if not kinds <= _PLAIN:
        values = [_text(value) for value in values]
        kinds = set(map(type, values))
    if kinds and kinds <= _NUMBERS:
        texts = _numbers(values)
        return _quoted(texts, delimiter) if delimiter in _IN_NUMBERS else (texts, ())
    return _quoted(["" if value is None else str(value) for value in values], delimiter)


def _quoted(texts: Sequence[str], delimiter: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return *texts*, those in quotes that hold what would end them, and these alone."""
    whole = "\0".join(texts)
    if not any(mark in whole for mark in (delimiter, '"', "\n", "\r")):
        return texts, ()
    odd = [
        index
        for index, text in enumerate(texts)
        if delimiter in text or '"' in text or "\n" in text or "\r" in text
    ]
    cells = list(texts)
    for index in odd:
        cells[index] = '"' + texts[index].replace('"', '""') + '"'
    return cells, [cells[index] for index in odd]


def _numbers(values: Sequence[Any]) -> list[str]:
    """Return ints and floats as ``repr`` has them.

    The module ``msgspec`` writes the same fewest digits (Adams: "Ryū: Fast Float-to-String Conversion", PLDI
    2018) in a third of the time, but other exponents, infinities and numbers below 1e-4.
    """
    text = msgspec.json.encode(values)
    if text.translate(None, _DIGITS) == b"[]" and b"0.0000" not in text:
        return text[1:-1].decode().split(",")
    return list(map(repr, values))


def _text(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if kind is bool:
        return "true" if value else "false"
    plain = msgspec.to_builtins(value, enc_hook=encode_hook)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if type(plain) in _PLAIN else msgspec.json.encode(plain).decode()


def line_of(values: Iterable[Any], delimiter: str) -> str:
    """Return one line."""
    return lines_of([[value] for value in values], delimiter)
