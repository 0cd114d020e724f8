"""The regular expressions that find quotes and records, compiled once for each delimiter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# 3.11.0 to 3.11.4, which some systems have, match possessive repeats of groups wrongly.
_KNOWS_POSSESSIVE: Final = re.compile("(?:ab?c)*+$").match("aca") is None


def possessive(group: bytes, times: bytes, *, natively: bool = _KNOWS_POSSESSIVE) -> bytes:
    """Return the pattern of *group*, repeated *times* (``*``, ``+``, ``?``), that gives nothing back.

    Args:
        group: Any pattern.
        times: How often.
        natively: With the possessive quantifier; else as an atomic group, which takes some memory for each
            repeat, and twice the time.
    """
    return b"(?:%s)%s+" % (group, times) if natively else b"(?>(?:%s)%s)" % (group, times)


@dataclass(frozen=True)
class Patterns:
    r"""What the scanners of quoted text match. Every quantifier is possessive: linear time on any input.

    Attributes:
        well_formed: The longest beginning in which quotes stand as RFC 4180 wants them. Two quotes in a cell
            count as the end of one part of it and the beginning of the next.
        first: One record with its end; a ``\r`` at the end of the text is none yet, for a ``\n`` may follow.
        whole: As many of them as there are.
        record: One record that ends at the end of the text at the latest, quotes open or not.
        needed: One cell whose quotes are needed, in text whose lines end with ``\n`` alone, with a group for
            quotes in it; or the quote alone, where it begins no such cell. It begins with a plain character,
            which ``re`` finds several times as fast as anything else.
        opening: A quote that can only open a cell, where quotes stand as RFC 4180 wants them: within a cell
            there is another one beside it, and behind a closing one the cell ends.
    """

    well_formed: re.Pattern[bytes]
    first: re.Pattern[bytes]
    whole: re.Pattern[bytes]
    record: re.Pattern[bytes]
    needed: re.Pattern[bytes]
    opening: re.Pattern[bytes]


def ends_outside(mark: bytes, *, natively: bool) -> re.Pattern[bytes]:
    """Return the pattern of all up to the last *mark* that is outside of quotes; *natively* as above."""
    line = possessive(rb'[^"%s]++|"[^"]*+"' % mark, b"*", natively=natively) + mark
    return re.compile(possessive(line, b"*", natively=natively))


PART = re.compile(rb'"[^"]*+"')
LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|\Z)")
ENDS_OUTSIDE = {mark: ends_outside(mark, natively=_KNOWS_POSSESSIVE) for mark in (b"\n", b"\r")}
FIRST_LINE = re.compile(rb"[^\r\n]*+(?:\r?\n|\r(?=[^\n]))")


@lru_cache(maxsize=32)
def patterns(delimiter: str, *, natively: bool = _KNOWS_POSSESSIVE) -> Patterns:
    """Return the patterns of text with that *delimiter*; *natively* as ``possessive`` takes it."""

    def repeated(group: bytes, times: bytes) -> bytes:
        return possessive(group, times, natively=natively)

    mark = re.escape(delimiter.encode())
    outer = rb"[%s\r\n]" % mark
    inner = rb"[^" + outer[1:]
    opening = rb'(?<!%s)"' % inner  # at the beginning of a cell
    stray = rb'(?<=%s)"' % inner
    content = rb'[^"]*+' + repeated(rb'""[^"]*+', b"*")
    quoted = opening + content + rb'"'
    body = repeated(rb'[^"\r\n]++|%s|%s' % (quoted, stray), b"*")
    first = body + rb"(?:\r?\n|\r(?=[^\n]))"
    parts = repeated(rb'"[^"]*+"(?:%s|(?=")|\Z)' % outer, b"+")
    needing = rb'[^"%s\r\n]*+(?:%s|(""))[^"]*+' % (mark, outer) + repeated(rb'("")[^"]*+', b"*")
    return Patterns(
        well_formed=re.compile(repeated(rb'[^"]*+(?<!%s)' % inner + parts, b"*") + rb'[^"]*+'),
        first=re.compile(first),
        whole=re.compile(repeated(first, b"*")),
        record=re.compile(body + repeated(opening + content + rb"\Z", b"?") + rb"(?:\r\n|\n|\r|\Z)"),
        needed=re.compile(rb'"' + repeated(rb'(?<![^%s\n]")%s"(?=[%s\n]|\Z)' % (mark, needing, mark), b"?")),
        opening=re.compile(rb'"(?<=%s")(?=[^"%s\r\n])' % (outer, mark)),
    )
