"""Columns as lines of CSV or of JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.streams.formats.cell_text import as_text, bytes_of, python_values
from gristmill.streams.formats.ndjson_writing import LineEncoder
from gristmill.streams.formats.record_lines import Lines
from gristmill.streams.formats.row_makers import dict_maker
from gristmill.streams.sinks.protocol import Encoded


class CsvColumnEncoder:
    """Writes lines of CSV as the writer of rows does: quotes only where they must be, nothing for null.

    The text of a value is the one that the writer of rows writes for it; see ``as_text``.

    Args:
        delimiter: One character.
        names: The columns to write, in order; None: those of the first batch.
    """

    wants_text = True

    def __init__(self, delimiter: str, names: Sequence[str] | None) -> None:
        self._delimiter = delimiter
        self._names = None if names is None else list(names)
        self._special = [b'"', delimiter.encode(), b"\n", b"\r"]
        self._pattern = f'["\r\n{re.escape(delimiter)}]'

    def layout(self, batch: Any) -> bytes | None:
        """Return the names of the columns, as JSON."""
        return msgspec.json.encode(batch.schema.names if self._names is None else self._names)

    def encode(self, batches: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return the lines; a batch with a column that the output has not cannot be written."""
        if layout is None:
            return b"", {}
        names = msgspec.json.decode(layout, type=list[str])
        parts: list[Encoded] = []
        bad: dict[int, str] = {}
        at = 0
        for batch in batches:
            if why := surplus(batch.schema.names, names):
                bad.update(dict.fromkeys(range(at, at + batch.num_rows), why))
            elif batch.num_rows:
                parts.append(self._lines(batch, names))
            at += batch.num_rows
        return (parts[0] if len(parts) == 1 else b"".join(parts)), bad

    def encode_continued(self, batches: Sequence[Any], layout: bytes | None, lines: Lines) -> Encoded | None:
        """Return the lines; see ``ContinuingEncoder``."""
        names = batches[0].schema.names
        if layout is None or msgspec.json.decode(layout) != names or lines.delimiter != self._delimiter:
            return None
        try:
            return self._continued(lines, batches, range(lines.columns, len(names)))
        except (pa.ArrowCapacityError, pa.ArrowInvalid):  # more than 2 GiB of text
            return None

    def _continued(self, lines: Lines, batches: Sequence[Any], places: Sequence[int]) -> Encoded:
        """Return *lines*, each followed by its cells in the columns at *places*."""
        if not places:
            return bytes(bytes_of(lines.texts)) + b"\n"
        added = [
            pa.concat_arrays([self._cells(batch.column(place)) for batch in batches]) for place in places
        ]
        # Line ends are at the beginnings of the records, so only the last one is missing.
        last = pa.array([(added[-1][-1].as_py() or "") + "\n"], pa.string())
        added[-1] = pa.concat_arrays([added[-1][:-1], last])
        return bytes_of(_joined([lines.texts, *added], self._delimiter))

    def _lines(self, batch: Any, names: Sequence[str]) -> Encoded:
        have = set(batch.schema.names)
        cells = [
            self._cells(batch.column(name)) if name in have else _nothing(batch.num_rows) for name in names
        ]
        if len(cells) == 1:  # an empty line would be no row
            cells[0] = pc.if_else(pc.equal(cells[0].fill_null(""), ""), '""', cells[0])
        last = _joined([cells[-1], "\n"], "")
        try:
            return bytes_of(_joined([*cells[:-1], last], self._delimiter) if cells[1:] else last)
        except (pa.ArrowCapacityError, pa.ArrowInvalid):  # more than 2 GiB of text
            half = batch.num_rows // 2
            if not half:
                raise
            first, rest = batch.slice(0, half), batch.slice(half)
            return b"".join((self._lines(first, names), self._lines(rest, names)))

    def _cells(self, column: Any) -> Any:
        """Return *column* as text with quotes where they must be."""
        text = as_text(column)
        return self._quoted(text) if may_need_quotes(column.type) else text

    def _quoted(self, text: Any) -> Any:
        held = bytes(bytes_of(text))
        if not any(mark in held for mark in self._special):
            return text
        mask = pc.match_substring_regex(text, self._pattern).fill_null(False)
        odd = text.filter(mask)
        if b'"' in held:
            odd = pc.replace_substring(odd, '"', '""')
        return pc.replace_with_mask(text, mask, _joined(['"', odd, '"'], ""))


def may_need_quotes(kind: Any) -> bool:
    """Tell whether text of that type may hold a delimiter, a quote or a line end."""
    return not (pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind))


def surplus(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return a complaint about those of *names* that are not *known*; None if all are."""
    unknown = [name for name in names if name not in known]
    if not unknown:
        return None
    return f"the result has {', '.join(unknown)}, and the output has only {', '.join(known)}"


def _joined(parts: Sequence[Any], separator: str) -> Any:
    return pc.binary_join_element_wise(*parts, separator, null_handling="replace", null_replacement="")


def _nothing(count: int) -> Any:
    return pa.nulls(count, pa.string())


def rows_of(batch: Any) -> list[dict[str, Any]]:
    """Return the rows of *batch* as dicts: several times as fast as ``to_pylist`` of the batch."""
    names = batch.schema.names
    if not names:
        return [{} for _ in range(batch.num_rows)]
    columns = [python_values(column) for column in batch.columns]
    make = dict_maker(tuple((name, place) for place, name in enumerate(names)), len(names))
    return make(zip(*columns, strict=True))


class LineColumnEncoder:
    """Writes one line of JSON for each row; NaN and infinities as null, times in all their digits."""

    wants_text = False

    def __init__(self) -> None:
        self._lines = LineEncoder()

    def layout(self, batch: Any) -> bytes | None:  # noqa: ARG002 - lines have no columns in common
        """Return None: each line names its own fields."""
        return None

    def encode(self, batches: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return the lines, and what cannot be JSON."""
        parts: list[bytes] = []
        bad: dict[int, str] = {}
        at = 0
        for batch in batches:
            body, unfit = self._lines.encode(rows_of(_in_all_digits(batch)), layout)
            parts.append(body)
            bad.update((at + index, why) for index, why in unfit.items())
            at += batch.num_rows
        return b"".join(parts), bad


def _in_all_digits(batch: Any) -> Any:
    """Return *batch* with texts for times in nanoseconds, of which Python's have none."""
    fine = [pa.types.is_timestamp(field.type) and field.type.unit == "ns" for field in batch.schema]
    if not any(fine):
        return batch
    columns = [
        as_text(column) if is_fine else column for column, is_fine in zip(batch.columns, fine, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
