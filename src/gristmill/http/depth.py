"""How deep arrays and objects nest in a JSON text, without parsing it."""

from __future__ import annotations

from itertools import accumulate

from gristmill.http.skeleton import all_but, outside_strings

_OTHERS = all_but(b"[]{}")
_SIGNED = bytes.maketrans(
    b"[]{}", b"\x01\xff\x01\xff"
)  # as signed bytes: +1 for an opening, -1 for a closing
_PIECE = 1 << 14


def exceeds_depth(text: bytes | bytearray, limit: int) -> bool:
    """Tell whether *text* nests arrays and objects deeper than *limit*.

    Brackets inside strings do not count. Exact for every JSON text; for a text
    that is not JSON the answer counts brackets as they come. Linear, about
    1.5 ns a byte, and far less for texts with at most *limit* opening brackets.
    """
    if len(text) <= limit or text.count(b"[") + text.count(b"{") <= limit:
        return False
    steps = outside_strings(text, _OTHERS).translate(_SIGNED)
    level = 0
    for start in range(0, len(steps), _PIECE):
        levels = list(accumulate(memoryview(steps[start : start + _PIECE]).cast("b"), initial=level))
        if max(levels) > limit:
            return True
        level = levels[-1]
    return False
