from __future__ import annotations

from gristmill.queue.sqlite.room import RESERVED, Room


def test_new_work_needs_its_size_twice():
    assert not Room(free=RESERVED + 2000, unsaved=0, spare=0).take(1000)
    assert Room(free=RESERVED + 2001, unsaved=0, spare=0).take(1000)


def test_spare_pages_of_the_file_are_used_before_it_grows():
    assert not Room(free=RESERVED + 1000, unsaved=0, spare=1000).take(1000)
    assert Room(free=RESERVED + 1001, unsaved=0, spare=1000).take(1000)


def test_the_log_that_is_not_copied_yet_is_counted():
    assert not Room(free=RESERVED + 2001, unsaved=100, spare=0).take(1000)


def test_what_is_taken_is_gone():
    room = Room(free=RESERVED + 4001, unsaved=0, spare=0)
    assert [room.take(1000) for _ in range(3)] == [True, True, False]


def test_what_is_refused_takes_nothing():
    room = Room(free=RESERVED + 2001, unsaved=0, spare=0)
    assert not room.take(5000)
    assert room.take(1000)
