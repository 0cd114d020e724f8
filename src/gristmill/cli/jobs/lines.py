"""NDJSON as items: one JSON value a line, read as the job is stored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator

import msgspec


class ItemLines:
    """Items, one a line; blank lines are none.

    Args:
        lines: Bytes of an NDJSON file.

    Attributes:
        number: Of the line that was read last, from 1.
        items: How many there were so far.
    """

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.number = 0
        self.items = 0

    def __iter__(self) -> Iterator[msgspec.Raw]:
        """Yield the JSON of each item; whether it is JSON shows when it is stored."""
        for line in _interruptible(self._lines):
            self.number += 1
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                self.items += 1
                yield msgspec.Raw(text)


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
