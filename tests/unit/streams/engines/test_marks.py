from __future__ import annotations

import contextlib
import time

import pytest

from gristmill.streams.engines.marks import WORDS, Note, SharedMarker, close, read, taken
from gristmill.streams.engines.protocol import Mark


class Killed(Exception):
    pass


class Dying(list[int]):
    """Words whose writer is killed after so many stores."""

    def __init__(self, words: list[int], stores: int) -> None:
        super().__init__(words)
        self.stores = stores

    def __setitem__(self, index, value):
        if not self.stores:
            raise Killed
        self.stores -= 1
        super().__setitem__(index, value)


def test_a_note_says_which_rows_and_since_when():
    words = [0] * WORDS
    before = time.monotonic_ns()
    SharedMarker(words).running(0, 0)
    note = read(words)
    assert note is not None
    assert note.mark == Mark(first=0, stop=0)
    assert before <= note.since <= time.monotonic_ns()
    SharedMarker(words).idle()
    assert read(words) is None


@pytest.mark.parametrize("stores", range(8))
def test_a_kill_between_two_stores_never_shows_a_mix_of_two_notes(stores: int):
    start = [0] * WORDS
    SharedMarker(start).running(1, 5)
    first = read(start)
    words = Dying(start, stores)
    marker = SharedMarker(words)
    with contextlib.suppress(Killed):
        marker.running(2, 9)
        marker.running(3, 9)
    note = read(words)
    seen = None if note is None else (note.mark.first, note.mark.stop)
    assert seen == {0: (1, 5), 4: (2, 9)}.get(stores)
    assert stores or note == first


def test_a_note_that_changes_while_it_is_read_is_none():
    words = [0] * WORDS
    SharedMarker(words).running(1, 5)

    class Moving(list[int]):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            if self.reads == 3:
                SharedMarker(self.twin).running(2, 5)
                self[:] = self.twin
            return super().__getitem__(index)

        twin = [0] * WORDS

    assert read(Moving(words)) is None


def test_tasks_taken_are_counted_and_a_close_is_seen():
    words = [0] * WORDS
    marker = SharedMarker(words)
    assert (taken(words), marker.is_closing) == (0, False)
    marker.took()
    marker.took()
    close(words)
    assert (taken(words), marker.is_closing) == (2, True)


def test_a_call_has_what_is_left_of_its_timeout():
    note = Note(mark=Mark(first=0, stop=1), since=5_000_000_000)
    assert note.remaining(3, 6_500_000_000) == pytest.approx(1.5)
    assert note.remaining(3, 9_000_000_000) == pytest.approx(-1)
