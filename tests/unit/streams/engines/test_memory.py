from __future__ import annotations

import os
import sys

import pytest

from gristmill.streams.engines.memory import Memory, is_stopped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


def test_resident_memory_grows_with_what_is_held():
    memory = Memory()
    before = memory.rss()
    held = bytearray(b"x") * 100_000_000
    assert memory.rss() - before > 90_000_000
    del held
    memory.close()
    assert memory.rss() == 0


def test_of_a_process_that_is_gone_nothing_is_known():
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    assert Memory(pid).rss() == 0
    assert not is_stopped(pid)


def test_this_process_is_not_stopped():
    assert not is_stopped(os.getpid())
