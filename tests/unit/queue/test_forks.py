from __future__ import annotations

import os

from gristmill.queue import forks


def test_a_child_is_of_another_generation_and_its_parent_is_not() -> None:
    before = forks.generation
    child = os.fork()
    if not child:
        os._exit(forks.generation - before)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert forks.generation == before
