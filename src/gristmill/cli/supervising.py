"""Several worker processes as one command: those that die are started again, signals reach them all."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence

from gristmill.cli.exits import FAILED, USAGE
from gristmill.cli.stopping import StopSignals, unless
from gristmill.queue.backoff import Backoff

_LOG = logging.getLogger("gristmill.work")
_ENTRY = ("-P", "-c", "from gristmill.cli.main import main; main()")
_WELL = 60.0
"""Seconds after which a process that dies was well: it is started again at once, as the first time."""


class Supervisor:
    """Keeps worker processes running until told to stop.

    Each has an open pipe as its standard input: it stops by itself when that
    is closed, which the system does if this process is killed.

    Args:
        commands: The words of each process's command line, behind ``gristmill``.
        signals: Tell it to stop; they are passed on.
    """

    def __init__(self, commands: Sequence[Sequence[str]], signals: StopSignals) -> None:
        self._commands = commands
        self._signals = signals
        self._running: set[Process] = set()

    async def supervise(self) -> int:
        """Start the processes and keep them until told to stop; return the exit code."""
        forwarding = asyncio.create_task(self._forward(), name="gristmill signals")
        try:
            return max(await asyncio.gather(*map(self._keep, self._commands)))
        finally:
            forwarding.cancel()

    async def _forward(self) -> None:
        for event in (self._signals.asked, self._signals.insisted):
            await event.wait()
            for process in list(self._running):
                _tell(process)

    async def _keep(self, words: Sequence[str]) -> int:
        """Run one process, again and again; return the exit code for the last of them."""
        backoff = Backoff(random.random)
        asked = self._signals.asked
        code = 0
        while not asked.is_set():
            began = time.monotonic()
            code = await self._run(words)
            if asked.is_set():
                break
            if code == USAGE:  # it said why, and another one would say the same
                self._signals.ask()
                break
            if time.monotonic() - began > _WELL:
                backoff.succeeded()
            pause = backoff.failed()
            _LOG.error("a worker process ended by itself with %s; another starts in %.1f s", code, pause)
            await unless(asked, asyncio.sleep(pause))
        return USAGE if code == USAGE else FAILED if code not in (0, -signal.SIGTERM) else 0

    async def _run(self, words: Sequence[str]) -> int:
        # In a session of its own: a terminal's Ctrl-C would reach it beside the signal that is passed on.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *_ENTRY, *words, stdin=PIPE, start_new_session=True
        )
        self._running.add(process)
        if self._signals.asked.is_set():
            _tell(process)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)


def _tell(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
