"""One worker process of the local pool, as its parent sees it."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator

from gristmill.batching.executors.child_process import Context, is_alive, launch, reap
from gristmill.streams.engines import frames, local_main, marks, messages
from gristmill.streams.engines.frames import FrameReader, TornFrame
from gristmill.streams.engines.local_rules import Death, Held, Verdict, reason_of
from gristmill.streams.engines.marks import Note
from gristmill.streams.engines.memory import Memory, is_stopped
from gristmill.streams.engines.messages import Answer, Ready
from gristmill.streams.engines.slots import parent_slots

_BUFFER = 1 << 20  # bytes that may be on their way
_TURN = 4 << 20  # bytes read of one worker before the others have their turn


class LocalProcess:
    """A worker process, started when this is made. Nothing here waits, but ``reap``.

    Attributes:
        held: What it was given and has not answered: the first runs, the others are in its pipe.
        given: How many tasks it was given.
        answered: How many it answered.
        base_rss: Its resident memory when it had started; None: it has not.
        rss: The newest figure known, in bytes; 0: none.
        is_retiring: It gets no further task.
        is_dismissed: It was asked to end.
        verdict: Why it was killed, if the pool did.
        stopped_since: When it was first seen stopped, in seconds of the monotonic clock; None: it runs.
        quit_by: When it is killed unless it has ended, in seconds of the monotonic clock; None: it may live.
    """

    def __init__(self, context: Context, hello: bytes, options: local_main.MainOptions) -> None:
        self.held: deque[Held] = deque()
        self.given = 0
        self.answered = 0
        self.base_rss: int | None = None
        self.rss = 0
        self.is_retiring = False
        self.is_dismissed = False
        self.verdict: Verdict | None = None
        self.stopped_since: float | None = None
        self.quit_by: float | None = None
        self._reader = FrameReader()
        self._outbox: deque[memoryview] = deque()
        self._words: marks.Words = context.RawArray("Q", marks.WORDS)
        self._slots = parent_slots()
        self._socket, theirs = socket.socketpair()
        for end in (self._socket, theirs):  # the system takes as much of it as it allows, twice its default
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        try:
            door = None if self._slots is None else self._slots.door
            self._process = launch(context, local_main.serve, (theirs, self._words, options, door))
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()  # or the worker's end would never be seen
            if self._slots is not None:
                self._slots.shut()
        self._socket.setblocking(False)
        self._memory = Memory(self._process.pid)
        self.has_hung_up = False
        self._post(hello)

    @property
    def socket(self) -> socket.socket:
        """Its end of the pipe, for a selector."""
        return self._socket

    @property
    def sentinel(self) -> int:
        """Ready to read when the process has ended."""
        return self._process.sentinel

    @property
    def pid(self) -> int | None:
        """Of the process."""
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has started."""
        return self.base_rss is not None

    @property
    def has_outbox(self) -> bool:
        """Whether there is more to send than its pipe would take."""
        return bool(self._outbox)

    @property
    def taken(self) -> int:
        """How many tasks it had in full."""
        return marks.taken(self._words)

    @property
    def is_running(self) -> bool:
        """Whether a task is with it that it has taken."""
        return self.taken > self.answered

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it, and it cannot go on by itself."""
        return self._process.pid is not None and is_stopped(self._process.pid)

    def note(self) -> Note | None:
        """Return which handler call runs."""
        return marks.read(self._words)

    def is_alive(self) -> bool:
        """Ask the system."""
        return is_alive(self._process)

    def give(self, held: Held) -> None:
        """Send a task, as far as the pipe takes it; ``flush`` sends the rest."""
        header, body = messages.dump_task(held.task)
        self.held.append(held)
        self.given += 1
        self._post(header, body)

    def flush(self) -> None:
        """Send what the pipe takes; an end of it is seen when it is read."""
        while self._outbox:
            part = self._outbox[0]
            try:
                count = self._socket.send(part)
            except BlockingIOError:
                return
            except OSError:
                self._outbox.clear()
                return
            if count == len(part):
                self._outbox.popleft()
            else:
                self._outbox[0] = part[count:]

    def receive(self, *, is_last: bool = False) -> Iterator[Ready | Answer]:
        """Yield the messages that are here in full; at most a few megabytes at a time, or all if *is_last*.

        Raises:
            TornFrame: Something else wrote to the pipe.
        """
        budget = _TURN
        while (budget > 0 or is_last) and not self.has_hung_up:
            try:
                count = self._socket.recv_into(self._reader.space())
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if count == 0:
                self.has_hung_up = True
                return
            budget -= count
            frame = self._reader.filled(count)
            if frame is not None:
                yield self._message(frame)
                if not is_last:
                    return  # there is rarely another, and to look costs a call

    def sample(self) -> None:
        """Look at its memory."""
        self.rss = self._memory.rss() or self.rss

    def dismiss(self, quit_by: float | None) -> None:
        """Let it end by itself, once it has run what it was given."""
        self.is_retiring = self.is_dismissed = True
        self.quit_by = quit_by
        with contextlib.suppress(OSError):  # it is gone
            self._socket.shutdown(socket.SHUT_WR)

    def begin_nothing(self) -> None:
        """Have it end after the task that it runs now."""
        self.is_retiring = True
        marks.close(self._words)

    def kill(self, verdict: Verdict | None = None) -> None:
        """End it at once."""
        self.verdict = self.verdict or verdict
        self.is_retiring = True
        self._process.kill()

    def reap(self) -> Death:
        """Wait for the end of the process, let go of it, and say what is known of it."""
        code = reap(self._process)
        self._socket.close()
        self._memory.close()
        self._outbox.clear()
        self._process.close()
        note = self.note()
        return Death(
            end=reason_of(code, self.rss),
            verdict=self.verdict,
            taken=self.taken,
            answered=self.answered,
            mark=None if note is None else note.mark,
        )

    def _post(self, header: bytes, body: frames.Body = b"") -> None:
        self._outbox.extend(frames.pack(header, body))
        self.flush()

    def _message(self, frame: frames.Frame) -> Ready | Answer:
        try:
            return messages.load_message(frame, self._slots)
        except Exception as error:
            raise TornFrame(
                f"a message of a worker process cannot be read: {type(error).__name__}: {error}"
            ) from error
