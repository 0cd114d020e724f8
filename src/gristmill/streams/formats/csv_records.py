"""Whether quotes stand where they may, and which bytes each record of a piece of CSV has."""

from __future__ import annotations

from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.patterns import LINE, PART, patterns


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
