"""A worker process ends when its parent does, however that went."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import wait

if sys.platform == "linux":
    import fcntl

PARENT_IS_GONE = 1
"""The exit code of a worker that was busy when its parent died."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, even if user code lets no other thread run.

    PR_SET_PDEATHSIG would not do: it watches the parent thread, which is the
    fork server's here. multiprocessing gives each child a pipe that only its
    parent holds open; Linux can send a signal when that hangs up. Elsewhere
    this does nothing.
    """
    parent = multiprocessing.parent_process()
    if sys.platform != "linux" or parent is None:
        return
    sentinel = parent.sentinel
    fcntl.fcntl(sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if wait([sentinel], 0):  # it was gone before the kernel was asked
        os._exit(PARENT_IS_GONE)
