"""The records of a chunk of CSV as they stand, for an output whose lines begin with all of their columns."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.streams.formats.csv_records import Quotes

_LONGEST = 2**31 - 2
"""Bytes of a text that 32-bit offsets reach."""


@dataclass(frozen=True, slots=True)
class Lines:
    r"""Records as a writer writes them that quotes only what it must.

    Attributes:
        delimiter: Between their cells.
        columns: How many cells each has.
        texts: A string array: each record without its line end, but with that of the one before it in front.
    """

    delimiter: str
    columns: int
    texts: Any


def lines_of(text: bytes, delimiter: str, columns: Sequence[Any], quotes: Quotes) -> Lines | None:
    """Return the records of *text*, found by the lengths of their cells, without a look at the text.

    A record is as long as the values of its cells, the quotes that were dropped from them, and a delimiter or
    a line end after each. Offsets of strings are sums of lengths already, so the sums of the offsets of all
    columns are the sums of lengths of all rows.

    Args:
        text: Whole records, in UTF-8.
        delimiter: Between cells.
        columns: Their values as string arrays: all columns, in order, without nulls.
        quotes: Of *text*.

    Returns:
        None if lines end otherwise than with a line feed alone, or some are blank.
    """
    count = len(columns[0])
    if not count or len(text) > _LONGEST or b"\r" in text:
        return None
    ends = _multiples(len(columns), count)
    for column in columns:
        offsets = pa.Array.from_buffers(
            pa.int32(), count, [None, column.buffers()[1]], offset=column.offset + 1
        )
        ends = pc.add(ends, offsets)
    if quotes.starts:
        ends = pc.add(ends, _dropped(quotes, ends))
    if ends[-1].as_py() != len(text) + (not text.endswith(b"\n")):
        return None
    starts = pa.concat_arrays([pa.array([0], pa.int32()), pc.subtract(ends, pa.scalar(1, pa.int32()))])
    texts = pa.Array.from_buffers(pa.string(), count, [None, starts.buffers()[1], pa.py_buffer(text)])
    return Lines(delimiter, len(columns), texts)


@lru_cache(maxsize=4)
def _multiples(step: int, count: int) -> Any:
    return pa.array(range(step, step * count + 1, step), pa.int32())


def _dropped(quotes: Quotes, ends: Any) -> Any:
    """Return how many quotes were dropped up to the end of each row.

    Args:
        quotes: Some.
        ends: Where each row ends once they are dropped.
    """
    dropped = pa.array(quotes.dropped, pa.int32())
    sums = pc.cumulative_sum(dropped)
    rows = _rows(ends, pc.subtract(pc.add(pa.array(quotes.starts, pa.int32()), dropped), sums))
    is_last = pa.concat_arrays(
        [pc.not_equal(rows[:-1], rows[1:]), pa.array([True])]
    )  # of the cells of its row
    runs = pa.concat_arrays([rows.filter(is_last), pa.array([len(ends)], pa.int32())])
    values = pa.concat_arrays([pa.array([0], pa.int32()), sums.filter(is_last)])
    first = 0 if runs[0].as_py() else 1  # a run of no rows is none
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(runs[first:], values[first:]))


def _rows(ends: Any, starts: Any) -> Any:
    """Return the row that each of *starts* is in."""
    if hasattr(pc, "search_sorted"):  # not in older versions of Arrow
        return pc.cast(pc.search_sorted(ends, starts, side="right"), pa.int32())
    known = ends.to_pylist()
    return pa.array([bisect_right(known, start) for start in starts.to_pylist()], pa.int32())
