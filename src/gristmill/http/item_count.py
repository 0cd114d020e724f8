"""Whether a batch has far too many items, told before a parser makes an object of each."""

from __future__ import annotations

from itertools import accumulate

from gristmill.http.skeleton import all_but, outside_strings

_OTHERS = all_but(b"[]{},")
_SIGNED = bytes.maketrans(b"[]{},", b"\x01\xff\x01\xff\x00")  # as signed bytes; a comma is no step
_PIECE = 1 << 14
_HARMLESS = 32
"""Commas for each item allowed, up to which it is cheaper to parse first and count then."""


def has_far_too_many_items(text: bytes | bytearray, limit: int) -> bool:
    """Tell whether the JSON *text* of a batch surely has more than *limit* items.

    A body of 8 MiB may hold millions of items: parsed, they would take
    hundreds of megabytes to be refused. False means only that counting them
    after parsing does no harm. Other members of an envelope count as well, if
    they are arrays or objects larger than any batch.
    """
    harmless = limit * _HARMLESS
    if len(text) <= 2 * harmless or text.count(b",") <= harmless:  # there is a value on each side of a comma
        return False
    wanted = 1 if text.lstrip()[:1] == b"[" else 2
    steps = outside_strings(text, _OTHERS).translate(_SIGNED)
    level = commas = 0
    for start in range(0, len(steps), _PIECE):
        piece = memoryview(steps[start : start + _PIECE]).cast("b")
        levels = list(accumulate(piece, initial=level))
        commas += sum(not step and at == wanted for step, at in zip(piece, levels[1:], strict=True))
        if commas >= limit:
            return True
        level = levels[-1]
    return False
