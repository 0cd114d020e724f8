"""One worker process as its parent sees it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from gristmill.batching.executors import process_worker
from gristmill.batching.executors.call_server import pack_call, unpack_reply
from gristmill.batching.executors.child_process import Context, describe_end, is_alive, launch, reap
from gristmill.batching.executors.crew import Job, name_of
from gristmill.batching.executors.protocol import Function
from gristmill.batching.executors.remote_error import unpack
from gristmill.errors import WorkerDied

GRACE = 5.0
"""Seconds an idle worker has to end by itself before it is killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How the workers of a pool are started, and how long they are kept."""

    context: Context
    initializer: Function
    initargs: tuple[Any, ...]
    max_batches: int | None


class WorkerProcess:
    """A place for one worker process: started by the first call, replaced when it died.

    All methods but ``stop`` and ``forget`` belong to one thread.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._is_stopped = False
        self._batches = 0

    @property
    def is_ready(self) -> bool:
        """Whether a worker is there for the next call."""
        return self._process is not None and not self._is_spent

    @property
    def _is_spent(self) -> bool:
        return self._is_stopped or self._batches == self._options.max_batches

    def call(self, job: Job) -> Any:
        """Make the call in the worker.

        Raises:
            WorkerDied: The worker ended before it replied.
            ConfigurationError: The function, its arguments or its reply cannot be sent.
        """
        request = pack_call(job.function, job.args)
        is_fresh = self._ensure_started(job)
        if not self._send(request):
            # It died idle. A batch whose last byte was not sent has not begun, so another worker may have it.
            if is_fresh:
                raise self._died(job)
            self._discard()
            self._ensure_started(job)
            if not self._send(request):
                raise self._died(job)
        del request
        reply = self._receive(job)
        self._batches += 1
        return unpack_reply(job.function, reply)

    def stop(self) -> bool:
        """Kill the worker; from any thread, while the call runs."""
        self._is_stopped = True
        process = self._process
        if process is not None:
            process.kill()
        return True

    def rest(self) -> None:
        """End a worker that was killed or has run its share of batches; the next call starts another."""
        if self._is_spent:
            self._discard()

    def release(self) -> None:
        """End the worker."""
        self._discard()

    def forget(self) -> None:
        """Leave the worker to the parent, in a child forked from it."""
        if self._connection is not None:
            self._connection.close()  # or the worker would not see its end while this process lives
        if self._process is not None:
            # multiprocessing takes it for a child of this process and fails to join it at the end.
            vars(self._process)["join"] = lambda: None

    def _ensure_started(self, job: Job) -> bool:
        """Return whether the worker was started for this very job."""
        if self._process is not None:
            if is_alive(self._process) and not self._is_stopped:
                return False
            self._discard()
        self._start(job)
        return True

    def _start(self, job: Job) -> None:
        hello = pack_call(self._options.initializer, self._options.initargs)
        ours, theirs = self._options.context.Pipe()
        try:
            process = launch(self._options.context, process_worker.work, (theirs,))
        except Exception as error:
            ours.close()
            raise WorkerDied(
                f"a worker process could not be started: {type(error).__name__}: {error}"
            ) from error
        finally:
            theirs.close()  # or the worker's end would never be seen
        self._connection = ours
        self._batches = 0
        self._is_stopped = False
        self._process = process
        if job.is_dropped or job.is_closed:  # before there was a process to stop
            self.stop()
        if not self._send(hello):
            raise self._died(job, is_starting=True)
        reply = self._receive(job, is_starting=True)
        is_good, failure = pickle.loads(reply)  # noqa: S301 - from our own worker
        if not is_good:
            self._discard()
            cause = unpack(failure)
            raise WorkerDied(
                f"worker process {process.pid} ended before {name_of(job.function)} was called: "
                f"its initializer failed with {type(cause).__name__}: {cause}"
            ) from cause

    def _send(self, request: tuple[bytes, bytes]) -> bool:
        connection = self._connected()
        try:
            for message in request:
                connection.send_bytes(message)
        except OSError:
            return False
        return True

    def _receive(self, job: Job, *, is_starting: bool = False) -> bytes:
        connection, process = self._connected(), self._process
        # The process is watched too: its children may hold its end of the pipe open.
        if process is not None and connection in wait([connection, process.sentinel]):
            try:
                return connection.recv_bytes()
            except (EOFError, OSError):
                pass  # the error below says what became of it
        raise self._died(job, is_starting=is_starting)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise WorkerDied("the worker process has not been started")
        return self._connection

    def _died(self, job: Job, *, is_starting: bool = False) -> WorkerDied:
        process, code = self._process, self._discard()
        pid = None if process is None else process.pid
        name = name_of(job.function)
        if is_starting:
            return WorkerDied(
                f"worker process {pid} {describe_end(code)} while it started, before {name} was called; "
                'if the program is a script, what it does must be under `if __name__ == "__main__":`'
            )
        return WorkerDied(f"worker process {pid} {describe_end(code)} while it ran {name}")

    def _discard(self) -> int | None:
        """Hang up, wait for the end of the process, and return its exit code."""
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if process is None:
            return None
        if not wait([process.sentinel], GRACE):
            process.kill()
            wait([process.sentinel])
        return reap(process)
