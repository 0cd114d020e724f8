"""How a worker process is started, and what became of it: what every pool of this package needs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, TypeAlias

from gristmill.errors import ConfigurationError

Context: TypeAlias = ForkServerContext | SpawnContext

_BURIAL = 0.1
"""Seconds after which the system knows that a fork server is dead; asked before, it is taken for alive."""

# Two threads that ask multiprocessing for the same exit code at once read it
# from the same pipe, and one gets nothing; starting a process asks for those of all.
children = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=children.acquire, after_in_parent=children.release, after_in_child=children.release
    )


def context_of(start_method: str | None, owner: str) -> Context:
    """Return the context of *start_method*; None: ``forkserver`` where it exists, else ``spawn``.

    Args:
        start_method: Its name.
        owner: Whose option it is, for the message.

    Raises:
        ConfigurationError: There is no such method here.
    """
    available = [name for name in ("forkserver", "spawn") if name in multiprocessing.get_all_start_methods()]
    method = available[0] if start_method is None else start_method
    if method not in available:
        raise ConfigurationError(f"{owner}(start_method={method!r}): use one of {', '.join(available)} here")
    if method == "forkserver":
        return get_context("forkserver")
    return get_context("spawn")


def cpus() -> int:
    """Return how many CPUs this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def launch(context: Context, target: Callable[..., object], args: tuple[Any, ...]) -> BaseProcess:
    """Start a process that calls ``target(*args)``.

    Raises:
        OSError: The system has no room for it, or the fork server was killed meanwhile; the next launch
            starts another one.
    """
    process = context.Process(target=target, args=args, name="gristmill-worker")
    try:
        with children:
            process.start()
    except ChildProcessError:
        if isinstance(context, SpawnContext):
            raise
        # This process was forked from the one that started the fork server, and may not use it.
        return launch(get_context("spawn"), target, args)
    except (EOFError, ConnectionError) as error:
        # It may have forked before it died, so only the caller can launch again, with another pipe.
        time.sleep(_BURIAL)
        raise ConnectionResetError("the fork server ended before it had started the process") from error
    return process


def is_alive(process: BaseProcess) -> bool:
    """Tell whether *process* runs."""
    with children:
        return process.is_alive()


def reap(process: BaseProcess) -> int | None:
    """Wait for the end of *process*; return its exit code, negative for the signal that killed it."""
    with children:
        process.join()
    return process.exitcode


def describe_end(code: int | None) -> str:
    """Say for people how a process with this exit code ended: ``was killed by SIGKILL``."""
    if code is None:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
