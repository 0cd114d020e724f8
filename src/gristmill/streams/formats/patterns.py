"""The regular expressions that find quotes and records, compiled once for each delimiter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from gristmill.errors import ConfigurationError


@dataclass(frozen=True)
class Patterns:
    r"""What the scanners of quoted text match. Every quantifier is possessive: linear time on any input.

    Attributes:
        well_formed: The longest beginning in which quotes stand as RFC 4180 wants them. Two quotes in a cell
            count as the end of one part of it and the beginning of the next.
        first: One record with its end; a ``\r`` at the end of the text is none yet, for a ``\n`` may follow.
        whole: As many of them as there are.
        record: One record that ends at the end of the text at the latest, quotes open or not.
    """

    well_formed: re.Pattern[bytes]
    first: re.Pattern[bytes]
    whole: re.Pattern[bytes]
    record: re.Pattern[bytes]


PART = re.compile(rb'"[^"]*+"')
LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
ENDS_OUTSIDE = {  # all up to the last such mark that is outside of quotes
    mark: re.compile(rb'(?:(?:[^"%s]++|"[^"]*+")*+%s)*+' % (mark, mark)) for mark in (b"\n", b"\r")
}
FIRST_LINE = re.compile(rb"[^\r\n]*+(?:\r?\n|\r(?=[^\n]))")


@lru_cache(maxsize=32)
def patterns(delimiter: str) -> Patterns:
    """Return the patterns of text with that *delimiter*.

    Raises:
        ConfigurationError: This Python's module ``re`` would match them wrongly.
    """
    _check_python()
    outer = rb"[%s\r\n]" % re.escape(delimiter.encode())
    inner = rb"[^" + outer[1:]
    opening = rb'(?<!%s)"' % inner  # at the beginning of a cell
    stray = rb'(?<=%s)"' % inner
    content = rb'[^"]*+(?:""[^"]*+)*+'
    quoted = opening + content + rb'"'
    body = rb'(?:[^"\r\n]++|%s|%s)*+' % (quoted, stray)
    first = body + rb"(?:\r?\n|\r(?=[^\n]))"
    return Patterns(
        well_formed=re.compile(rb'(?:[^"]*+(?<!%s)(?:"[^"]*+"(?:%s|(?=")|\Z))++)*+[^"]*+' % (inner, outer)),
        first=re.compile(first),
        whole=re.compile(rb"(?:%s)*+" % first),
        record=re.compile(body + rb"(?:%s%s\Z)?+(?:\r\n|\n|\r|\Z)" % (opening, content)),
    )


def _check_python() -> None:
    found = re.match("(?:ab?c)*+", "aca")
    if found is None or found.end() != len("ac"):
        raise ConfigurationError(
            "this Python matches possessive patterns wrongly, as 3.11.0 to 3.11.4 do:"
            " update it to read CSV with quotes"
        )
