from __future__ import annotations

from gristmill.queue.sqlite.checkpoints import BUSY, LARGE, QUIET, STEP, Checkpoint, Checkpoints


def at(pages, *, is_idle):
    checkpoints = Checkpoints()
    checkpoints.grew(pages)
    return due(checkpoints, is_idle=is_idle)


def due(checkpoints, *, is_idle, is_tight=False):
    return checkpoints.due(is_idle=is_idle, is_tight=lambda: is_tight)


def test_a_small_log_is_left_alone():
    assert at(QUIET - 1, is_idle=True) is None
    assert at(BUSY - 1, is_idle=False) is None


def test_a_log_is_copied_while_nothing_else_is_to_do():
    assert at(QUIET, is_idle=True) is Checkpoint.PASSIVE


def test_a_log_that_grows_under_load_is_copied_all_the_same():
    assert at(BUSY, is_idle=False) is Checkpoint.PASSIVE


def test_a_large_log_is_cut_off():
    assert at(LARGE, is_idle=False) is Checkpoint.TRUNCATE


def test_a_log_that_a_reader_holds_is_not_tried_at_every_commit():
    checkpoints = Checkpoints()
    tries = 0
    for pages in range(QUIET, QUIET + 10 * STEP):
        checkpoints.grew(pages)
        tries += due(checkpoints, is_idle=True) is not None
    assert tries == 10


def test_a_log_that_began_anew_is_copied_when_it_has_grown_again():
    checkpoints = Checkpoints()
    checkpoints.grew(2 * QUIET)
    assert due(checkpoints, is_idle=True)
    checkpoints.grew(10)
    assert due(checkpoints, is_idle=True) is None
    checkpoints.grew(QUIET)
    assert due(checkpoints, is_idle=True)


def test_what_was_copied_is_safe_until_the_log_begins_anew():
    checkpoints = Checkpoints()
    checkpoints.grew(500)
    checkpoints.copied(300)
    assert checkpoints.unsaved == 200
    checkpoints.grew(600)
    assert checkpoints.unsaved == 300
    checkpoints.grew(20)
    assert checkpoints.unsaved == 20


def test_a_log_that_was_large_holds_room_until_it_is_cut_off():
    checkpoints = Checkpoints()
    checkpoints.grew(STEP)
    checkpoints.grew(1)
    assert checkpoints.holds_room
    checkpoints.was_cut()
    assert not checkpoints.holds_room
    checkpoints.grew(STEP - 1)
    assert not checkpoints.holds_room


def test_a_log_on_a_disk_that_is_nearly_full_stays_small():
    checkpoints = Checkpoints()
    checkpoints.grew(STEP - 1)
    assert due(checkpoints, is_idle=True, is_tight=True) is None
    checkpoints.grew(STEP)
    assert due(checkpoints, is_idle=False, is_tight=True) is Checkpoint.TRUNCATE


def test_what_a_full_disk_left_in_the_log_is_cut_off_once():
    checkpoints = Checkpoints()
    checkpoints.is_full = True
    assert due(checkpoints, is_idle=False) is Checkpoint.TRUNCATE
    assert due(checkpoints, is_idle=False) is None
