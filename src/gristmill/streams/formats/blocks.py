"""A chunk in blocks that stay in the processor's cache from the first look at a row to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

BLOCK = 64 * 1024
"""Bytes of a block: some hundred rows, whose objects are ten times as large."""


class Blocks:
    """Cuts the text of chunks, larger where a handler takes many rows at once.

    Args:
        cut: Returns the length of the whole records that a window begins with; None if there is none.
    """

    def __init__(self, cut: Callable[[bytes], int | None]) -> None:
        self._cut = cut
        self._row_bytes = 0.0

    def of(self, text: bytes, batch: int) -> Iterator[tuple[int, bytes]]:
        """Yield the blocks of *text*, which is whole records, each with its place in it.

        Args:
            text: Of a chunk.
            batch: Rows that the handler takes at once.
        """
        at = 0
        while at < len(text):
            block = self._next(text, at, max(BLOCK, int(batch * self._row_bytes)))
            yield at, block
            at += len(block)

    def _next(self, text: bytes, at: int, size: int) -> bytes:
        while at + size + size // 2 < len(text):
            window = text[at : at + size]
            length = self._cut(window)
            if length:
                return window[:length]
            size *= 2
        return text[at:] if at else text

    def learn(self, size: int, rows: int) -> None:
        """Take note that a block of *size* bytes had so many *rows*."""
        if rows:
            self._row_bytes = size / rows


def shifted(numbers: Sequence[int], by: int) -> Sequence[int]:
    """Return *numbers* and *by* added to each; as a range if they are one."""
    if isinstance(numbers, range) and numbers.step == 1:
        return range(numbers.start + by, numbers.stop + by)
    return [number + by for number in numbers]
