from __future__ import annotations

import os
import time

from gristmill.queue.ids import JobIds, is_job_id


def test_ids_have_their_form_differ_and_sort_by_time() -> None:
    ids = JobIds()
    made = [ids.new() for _ in range(1000)]
    assert all(map(is_job_id, made))
    assert len(set(made)) == 1000
    assert [one[:14] for one in made] == sorted(one[:14] for one in made)


def test_a_child_made_by_fork_makes_other_ids() -> None:
    ids = JobIds()
    ids.new()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, ids.new()[14:].encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != ids.new()[14:]
    os.close(reading)
    os.close(writing)


def test_what_has_another_form_is_no_id() -> None:
    good = JobIds().new()
    for bad in ("", good[:-1], good + "0", good.lower(), "job_" + "U" * 26, good + "\n", "../" + good):
        assert not is_job_id(bad)


def test_an_id_tells_when_it_was_made() -> None:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    before = time.time_ns() // 1_000_000
    number = 0
    for sign in JobIds().new()[4:]:
        number = number * 32 + alphabet.index(sign)
    assert before <= number >> 80 <= time.time_ns() // 1_000_000
