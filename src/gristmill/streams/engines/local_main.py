"""What runs in a worker process of the local pool: take a task, run it, answer, and again."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import wait

from gristmill.batching.executors.parent_death import PARENT_IS_GONE, die_with_parent
from gristmill.streams.engines import frames, messages
from gristmill.streams.engines.frames import Body, Frame
from gristmill.streams.engines.marks import SharedMarker, Words
from gristmill.streams.engines.memory import Memory
from gristmill.streams.engines.protocol import Runner
from gristmill.streams.engines.slots import Door, WorkerSlots

LOST_SOCKET = 74
"""The exit code of a worker that cannot answer, because somebody closed its socket."""

NO_MEMORY = 71
"""The exit code of a worker that has no memory to read its task into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MainOptions:
    """How a worker behaves.

    Attributes:
        stdout_to_stderr: What handlers print goes to standard error.
    """

    stdout_to_stderr: bool


_COLLECT_AFTER = (50_000, 20, 20)
"""New containers, and young and middle collections, before a look; Python's own are 700, 10, 10."""


def serve(sock: socket.socket, words: Words, options: MainOptions, door: Door | None = None) -> None:
    """Serve the parent at the other end of *sock* until it hangs up.

    The first message is the work, each other one is a task. The next is read
    when the one before is answered; so what is in the pipe has not begun.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the parent's to answer
    _end_with_parent()
    if options.stdout_to_stderr:
        _print_to_stderr()
    sock.setblocking(True)
    try:
        server = _serve(sock, SharedMarker(words), None if door is None else WorkerSlots(door))
    except OSError:
        sys.exit(LOST_SOCKET)
    except MemoryError:  # not of a handler, whose is an answer
        sys.exit(NO_MEMORY)
    if server is not None:
        server.close()


def _serve(sock: socket.socket, marker: SharedMarker, slots: WorkerSlots | None) -> _Server | None:
    hello = frames.receive(sock)
    if hello is None:
        return None
    memory = Memory()
    server = _Server(hello, marker, memory, slots)
    _collect_rarely()
    frames.send(sock, messages.dump_ready(memory.rss()))
    while (frame := frames.receive(sock)) is not None:
        marker.took()
        if marker.is_closing:
            break
        header, body = server.answer(frame)
        del frame  # a worker that waits holds no rows
        frames.send(sock, header, body)
        del body
    return server


class _Server:
    """Runs tasks; what the start raised is the answer to each, for it would be raised again."""

    def __init__(self, hello: Frame, marker: SharedMarker, memory: Memory, slots: WorkerSlots | None) -> None:
        self._slots = slots
        self._marker = marker
        self._memory = memory
        self._runner: Runner | None = None
        self._failure: BaseException | None = None
        try:
            self._runner = messages.load_work(hello).start()
        except BaseException as error:  # noqa: BLE001 - SystemExit too is the driver's to see
            self._failure = error

    def answer(self, frame: Frame) -> tuple[bytes, Body]:
        """Return the answer to the task of *frame*; never raises."""
        try:
            return self._run(frame)
        except BaseException as error:  # noqa: BLE001 - as above
            return messages.dump_failure(error, self._memory.rss()), b""

    def close(self) -> None:
        """Let go of what the runner holds."""
        if self._runner is not None:
            self._runner.close()

    def _run(self, frame: Frame) -> tuple[bytes, Body]:
        if self._runner is None:
            raise self._failure or RuntimeError("the worker has not been started")
        try:
            result = self._runner.run(messages.load_task(frame), self._marker)
        finally:
            self._marker.idle()
        return messages.dump_result(result, self._memory.rss(), self._slots)


def _collect_rarely() -> None:
    """Have the garbage collector look for cycles seldom: rows come and go by the thousand, and have none.

    What was loaded for good it need not look at at all.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def _print_to_stderr() -> None:
    sys.stdout.flush()
    os.dup2(2, 1)
    # The lines of several workers mix in one place, and those of a killed one should be there.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    die_with_parent()
    if sys.platform != "linux":  # nor does the kernel do it there
        _watch(parent.sentinel)


def _watch(sentinel: int) -> None:
    def watch() -> None:
        wait([sentinel])
        os._exit(PARENT_IS_GONE)

    threading.Thread(target=watch, name="gristmill-parent", daemon=True).start()
