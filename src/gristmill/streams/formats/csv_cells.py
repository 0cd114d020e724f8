"""Columns of values become lines of CSV, column by column: what needs no quotes is never looked at twice.

The module ``csv`` looks at every character of every cell. Here a column is
joined once to see whether it holds a delimiter, a quote or a line end at all;
only in those that do are cells quoted one by one. The bytes are those that
``csv.writer`` writes with ``QUOTE_MINIMAL``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gristmill.codec.results import encode_hook

_PLAIN = frozenset((str, int, float, type(None)))
"""Types whose text csv writes as it should be: None as nothing, numbers as they are."""


def lines_of(columns: Sequence[Sequence[Any]], delimiter: str) -> str:
    r"""Return the lines of a table, each ended by ``\n``; empty without rows.

    Args:
        columns: The values of each column, all as long; at least one.
        delimiter: One character.
    """
    cells = [_cells(column, delimiter) for column in columns]
    if len(cells) == 1:  # a lone empty cell would be an empty line, which is no row
        cells[0] = [cell or '""' for cell in cells[0]]
    text = "\n".join(map(delimiter.join, zip(*cells, strict=True)))
    return text + "\n" if text else ""


def _cells(values: Sequence[Any], delimiter: str) -> Sequence[str]:
    kinds = set(map(type, values))
    if kinds == {str}:
        return _quoted(values, delimiter)
    if not kinds <= _PLAIN:
        values = [_text(value) for value in values]
        kinds = set(map(type, values))
    if len(kinds) == 1 and str not in kinds and type(None) not in kinds:
        return list(map(str, values))
    texts = ["" if value is None else str(value) for value in values]
    return _quoted(texts, delimiter) if str in kinds else texts


def _quoted(texts: Sequence[str], delimiter: str) -> Sequence[str]:
    """Return *texts*, those in quotes that hold what would end them."""
    whole = "\0".join(texts)
    if not any(mark in whole for mark in (delimiter, '"', "\n", "\r")):
        return texts
    return [
        '"' + text.replace('"', '""') + '"'
        if delimiter in text or '"' in text or "\n" in text or "\r" in text
        else text
        for text in texts
    ]


def _text(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is bool:
        return "true" if value else "false"
    plain = msgspec.to_builtins(value, enc_hook=encode_hook)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return plain if type(plain) in _PLAIN else msgspec.json.encode(plain).decode()


def line_of(values: Iterable[Any], delimiter: str) -> str:
    """Return one line."""
    return lines_of([[value] for value in values], delimiter)
