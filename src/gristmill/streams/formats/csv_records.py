"""Whether quotes stand where they may, and which bytes each record of a piece of CSV has."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.patterns import LINE, PART, patterns

_STEP = 256
"""Cells that are looked at together."""
_BEGINNING = 1 << 16
"""Bytes of a piece that tell whether all of it has too many quotes to look at each."""


def check_quotes(chunk: bytes, dialect: Dialect) -> int | None:
    """Return where *chunk* stops being text of RFC 4180; None if all of it is.

    ``csv.reader(strict=True)`` alone does not tell: it takes a quote inside an unquoted cell for a character,
    where ``cut`` has counted it.

    Args:
        chunk: Whole records.
        dialect: Only its delimiter matters.

    Returns:
        The offset of a quote inside an unquoted cell, of a byte after a closing quote that ends no cell, or
        of the opening quote of a cell that never closes; whichever comes first.
    """
    if b'"' not in chunk:
        return None
    found = patterns(dialect.delimiter).well_formed.match(chunk)
    end = found.end() if found else 0
    if end == len(chunk):
        return None
    before = chunk[end - 1 : end]
    if before not in (b"", b'"', b"\r", b"\n", dialect.delimiter.encode()):
        return end
    part = PART.match(chunk, end)
    if part:
        return part.end()
    while chunk[end - 1 : end] == b'"':  # the part before it, which was closed
        end = chunk.rfind(b'"', 0, end - 1)
    return end


@dataclass(frozen=True, slots=True)
class Quotes:
    """The quotes of a piece of CSV, all of them around cells that need them.

    Attributes:
        starts: Where each such cell begins.
        dropped: How many bytes each of them has more than its value.
    """

    starts: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)


def needed_quotes(chunk: bytes, dialect: Dialect, most: int) -> Quotes | None:
    """Return the quotes of *chunk* if a writer that quotes only what it must would write the same ones.

    Then they also stand where RFC 4180 wants them: ``check_quotes`` has nothing to say. The proof is that
    every quote belongs to a cell that is found here, from the left to the right.

    Args:
        chunk: Whole records, whose lines end with a line feed alone.
        dialect: Of the file.
        most: Cells with quotes at most; a piece with more costs too much here.

    Returns:
        None if a quote is not needed, or not where it may be, or there are more than *most* cells with them,
        or would be if all of *chunk* had as many quotes as its beginning.
    """
    quotes = Quotes()
    if b'"' not in chunk:
        return quotes
    begins = min(len(chunk), _BEGINNING)
    if dialect.quoting == "none" or chunk.count(b'"', 0, begins) * len(chunk) > 2 * most * begins:
        return None
    cells = patterns(dialect.delimiter).needed.finditer(chunk)
    while some := list(islice(cells, _STEP)):
        places = [cell.span() for cell in some]
        if min([end - start for start, end in places]) == 1 or len(quotes.starts) + len(some) > most:
            return None
        dropped = [2] * len(some)
        for index in [index for index, cell in enumerate(some) if cell.lastindex]:
            dropped[index] = 1 + some[index].group().count(b'"') // 2
        quotes.starts.extend([start for start, _ in places])
        quotes.dropped.extend(dropped)
    return quotes


def spans(chunk: bytes, dialect: Dialect) -> list[tuple[int, int]]:
    """Return the byte range of every record of *chunk*, its line end included.

    The ranges lie end to end and stand for the rows that the module ``csv`` reads, one for one: those of
    blank lines are among them.

    Args:
        chunk: Whole records. The last one may lack its line end, or its closing quote.
        dialect: Of the file.
    """
    pattern = LINE if dialect.quoting == "none" else patterns(dialect.delimiter).record
    return [found.span() for found in pattern.finditer(chunk) if found.end() > found.start()]
