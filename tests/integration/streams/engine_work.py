"""What the workers of the engine tests do: the first word of a chunk's body says it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import threading
import time
from pathlib import Path

from gristmill.streams.chunk import Chunk, Counts, Crash, Result, Task
from gristmill.streams.engines.protocol import Marker

LEAK: list[bytearray] = []


class Unsendable(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def task(number: int, body: bytes, *, only: tuple[int, int] | None = None) -> Task:
    chunk = Chunk(number=number, source=0, start=10, end=20, body=body)
    return Task(
        chunk=chunk, only=only, convicted={3: Crash(code="crashed", message="m", deaths=3)}, layout=b"L"
    )


def sockets() -> list[int]:
    """Return the files of this process that are sockets."""
    found = []
    for file in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(file.readlink()).startswith("socket:"):
                found.append(int(file.name))
    return found


def hold(argument: str) -> None:
    """Say that it runs, and go on when the other fifo is opened and closed."""
    with Path(argument).open("w") as stream:
        stream.write(f"{os.getpid()}\n")
    Path(argument + ".end").read_text()


def leak(argument: str) -> None:
    LEAK.append(bytearray(b"x") * int(argument))


def shut(argument: str) -> None:
    """Close everything that looks like a socket, as careless daemons do, and say *argument*."""
    for number in sockets():
        os.close(number)
    if argument == "stay":
        while True:
            signal.pause()


def scribble(_: str) -> None:
    """Write to what is not its own."""
    for number in sockets():
        os.write(number, b"lorem ipsum dolor sit amet")


def fork(argument: str) -> None:
    """Leave a child that has a copy of every file this process has open, and die."""
    if os.fork() == 0:
        hold(argument)
        os._exit(0)
    with Path(argument + ".forked").open() as stream:
        stream.read()
    os._exit(5)


def unsendable(argument: str) -> None:
    raise Unsendable(argument)


def fail(argument: str) -> None:
    raise ValueError(argument)


def out_of_memory(_: str) -> None:
    raise MemoryError


def leave(argument: str) -> None:
    raise SystemExit(argument)


def stop_itself(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def limit(argument: str) -> None:
    """Let this process have so many bytes more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(argument)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def spin(_: str) -> None:
    while True:
        time.sleep(3600)


def show(argument: str) -> None:
    print(argument)  # noqa: T201 - where this goes is what is tested


VERBS = {
    "hold": hold,
    "leak": leak,
    "shut": shut,
    "scribble": scribble,
    "fork": fork,
    "unsendable": unsendable,
    "fail": fail,
    "memory": out_of_memory,
    "leave": leave,
    "freeze": stop_itself,
    "spin": spin,
    "print": show,
    "limit": limit,
    "kill": lambda number: os.kill(os.getpid(), int(number)),
    "exit": lambda code: os._exit(int(code)),
    "segfault": lambda _: ctypes.string_at(0),
    "pid": lambda _: None,
}


class Worker:
    """Runs what it is told, and answers with its pid; ``echo`` with the body, ``big N`` with N bytes."""

    def __init__(self, closed: str | None) -> None:
        self._closed = closed

    def run(self, task: Task, marker: Marker) -> Result:
        body = task.chunk.body or b"echo"
        verb = bytes(body[:100]).split(b" ")[0].decode()
        if verb == "echo":
            return Result(
                number=task.chunk.number,
                body=b"" if task.chunk.body is None else task.chunk.body,
                dead=repr((task.only, task.convicted, task.chunk.start, task.chunk.end)).encode(),
                counts=Counts(read=3, failed=1, succeeded=2),
                layout=task.layout,
                codes={"c": 1},
            )
        argument = bytes(body[len(verb) + 1 :]).decode()
        if verb == "big":
            return Result(number=task.chunk.number, body=memoryview(bytearray(int(argument))))
        if verb == "opaque":
            return Result(number=task.chunk.number, layout=threading.Lock())  # type: ignore[arg-type]
        if verb == "nothing":
            return None  # type: ignore[return-value]
        if verb == "doze":  # outside of a handler call
            stop_itself("")
            verb = "pid"
        marker.running(4, 7)
        VERBS[verb](argument)
        marker.idle()
        return Result(number=task.chunk.number, body=str(os.getpid()).encode())

    def close(self) -> None:
        if self._closed is not None:
            with Path(self._closed).open("a") as stream:
                stream.write("closed\n")


class Work:
    """Starts workers; *start* is what that does: nothing, or a line of what workers do."""

    def __init__(self, start: str = "pid", *, closed: str | None = None) -> None:
        self._start = start
        self._closed = closed

    def start(self) -> Worker:
        verb, _, argument = self._start.partition(" ")
        VERBS[verb](argument)
        return Worker(self._closed)
