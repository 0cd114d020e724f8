"""What a worker notes in memory that its parent shares, so that its parent knows what it died of.

Five words of eight bytes each. Every store is one aligned word, and the one
that makes a note valid comes last and is taken back first: a kill between two
stores leaves no note, never a mix of two. That is right, for a handler is
called after the last store. Times are of the monotonic clock, which the
processes of a machine share on Linux, macOS and Windows.
"""

from __future__ import annotations

import time
from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import TypeAlias

from gristmill.streams.engines.protocol import Mark

Words: TypeAlias = MutableSequence[int]

WORDS = 5
_STOP, _FIRST, _SINCE, _TAKEN, _CLOSING = range(WORDS)  # _STOP is 0 while no note is valid

_SECOND = 1_000_000_000


class SharedMarker:
    """The worker's side.

    Args:
        words: ``WORDS`` zeros of eight bytes, shared with the parent.
    """

    __slots__ = ("_words",)

    def __init__(self, words: Words) -> None:
        self._words = words

    @property
    def is_closing(self) -> bool:
        """Whether the parent wants no further task begun."""
        return self._words[_CLOSING] != 0

    def took(self) -> None:
        """Note that one more task is here in full, and what becomes of this process is its doing."""
        self._words[_TAKEN] += 1

    def running(self, first: int, stop: int) -> None:
        """Note that the rows [first, stop) of the chunk go to the handler now."""
        words = self._words
        words[_STOP] = 0
        words[_FIRST] = first
        words[_SINCE] = time.monotonic_ns()
        words[_STOP] = stop + 1

    def idle(self) -> None:
        """Note that no handler runs."""
        self._words[_STOP] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a worker has noted: the rows, and when they went to the handler, in nanoseconds."""

    mark: Mark
    since: int

    def remaining(self, timeout: float, now: int) -> float:
        """Return the seconds that the handler call may still take of its *timeout*; *now* in nanoseconds."""
        return timeout - (now - self.since) / _SECOND


def taken(words: Words) -> int:
    """Return how many tasks the worker had in full."""
    return words[_TAKEN]


def read(words: Words) -> Note | None:
    """Return what is noted now; None: nothing is with the handler, or it changes at this moment."""
    stop = words[_STOP]
    if not stop:
        return None
    note = Note(mark=Mark(first=words[_FIRST], stop=stop - 1), since=words[_SINCE])
    is_same = words[_STOP] == stop and words[_FIRST] == note.mark.first and words[_SINCE] == note.since
    return note if is_same else None


def close(words: Words) -> None:
    """Tell the worker that no further task is to be begun."""
    words[_CLOSING] = 1
