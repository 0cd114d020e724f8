"""NDJSON as items: one JSON value a line, read as the job is stored, or before where all must be known."""

from __future__ import annotations

import contextlib
import hashlib
import signal
import sys
import tempfile
import threading
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import IO

import msgspec


class ItemLines:
    """Items, one a line; blank lines are none.

    Args:
        lines: Bytes of an NDJSON file.

    Attributes:
        items: How many there were so far.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.items = 0
        # (item, lines before it): an entry where a blank line has come in between, so mostly one.
        self._offsets: list[tuple[int, int]] = [(0, 0)]

    def __iter__(self) -> Iterator[msgspec.Raw]:
        """Yield the JSON of each item; whether it is JSON shows when it is stored."""
        blank = 0
        for line in _interruptible(self._lines):
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if not text:
                blank += 1
                continue
            if blank > self._offsets[-1][1]:
                self._offsets.append((self.items, blank))
            self.items += 1
            yield msgspec.Raw(text)

    def line_of(self, item: int) -> int:
        """Return the number of the line, from 1, that the item at place *item* stood in."""
        offset = self._offsets[bisect_right(self._offsets, (item, sys.maxsize)) - 1]
        return item + offset[1] + 1


_IN_MEMORY = 1 << 20
"""Bytes that are put aside without a file."""


@contextlib.contextmanager
def put_aside(lines: Iterable[bytes]) -> Iterator[tuple[IO[bytes], str]]:
    """Read *lines* to their end; return them, until the block is left, and the SHA-256 of them all."""
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        for line in _interruptible(lines):
            digest.update(line)
            file.write(line)
        file.seek(0)
        yield file, digest.hexdigest()


def _interruptible(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *lines*; Ctrl-C ends a read that waits, which a cancelled task would not notice.

    It does so while a line is read only: raised anywhere else, it could leave the store half open.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from lines
        return
    reader = iter(lines)
    while True:
        former = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            line = next(reader, None)
        finally:
            signal.signal(signal.SIGINT, former)
        if line is None:
            return
        yield line
