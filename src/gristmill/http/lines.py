"""Lines out of a body that arrives in pieces, none longer than allowed."""

from __future__ import annotations

from collections.abc import Iterator

_SPACE = b" \t\r"  # of JSON; a line of others is no blank one


class LineSplitter:
    """Cuts chunks into lines; holds at most one line and the chunk at hand.

    Args:
        limit: Bytes of one line, without its end.

    Attributes:
        number: The number of the line that was last, from 1; blank ones count.
    """

    def __init__(self, limit: int) -> None:
        self.number = 0
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> Iterator[bytes | None]:
        """Yield the lines that *chunk* completes; None for one that was too long."""
        start = 0
        while (end := chunk.find(b"\n", start)) >= 0:
            yield from self._line(chunk[start:end])
            start = end + 1
        self._keep(chunk[start:])

    def finish(self) -> Iterator[bytes | None]:
        """Yield the last line, if it has no end."""
        if self._rest or self._skipping:
            yield from self._line(b"")

    def _line(self, tail: bytes) -> Iterator[bytes | None]:
        self.number += 1
        self._keep(tail)
        if self._skipping:
            yield None
        elif self._rest.strip(_SPACE):
            yield bytes(self._rest)
        self._rest.clear()
        self._skipping = False

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > self._limit + 1:  # a carriage return may stand before the end
            self._skipping = True
            self._rest.clear()
        elif not self._skipping:
            self._rest += piece
