"""The engine that runs tasks in the calling process."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Task
from gristmill.streams.engines.protocol import Broken, Event, Finished, Runner, Work


class Inline:
    """Runs tasks in the calling process, one at a time, inside ``wait``: for tests and debuggers.

    A handler cannot be ended here, so ``timeout`` of ``start`` and of ``wait``
    do not hold while one runs; a handler that kills its process kills the run.
    Never reports ``Died``. Ctrl-C is raised out of ``wait``; the task it hit
    runs again at the next one.
    """

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()
        self._work: Work | None = None
        self._runner: Runner | None = None
        self._failure: BaseException | None = None

    @property
    def workers(self) -> int:
        """How many tasks run at once: 1."""
        return 1

    @property
    def room(self) -> int:
        """How many tasks it takes now: one to run, and one ahead."""
        return max(0, 2 - len(self._waiting))

    def start(self, work: Work, *, timeout: float | None) -> None:  # noqa: ARG002 - nothing here could enforce it
        """Make the runner; what that raises is the answer to each task."""
        self.stop()
        self._work = work
        try:
            self._runner = work.start()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it is the answer to each task
            self._failure = error

    def submit(self, task: Task) -> None:
        """Take *task*; it runs in a later ``wait``.

        Raises:
            ConfigurationError: The engine has not been started.
        """
        if self._work is None:
            raise ConfigurationError("Inline has not been started: call start() before submit()")
        self._waiting.append(task)

    def wait(self, timeout: float | None = None) -> Sequence[Event]:  # noqa: ARG002 - a task cannot be left half-way
        """Run the next task and return its event; nothing if there is none."""
        if not self._waiting:
            return ()
        event = self._run(self._waiting[0])
        self._waiting.popleft()
        return (event,)

    def stop(self, *, kill: bool = False) -> None:  # noqa: ARG002 - nothing runs between two calls
        """Close the runner and forget the tasks that have not run."""
        runner, self._runner = self._runner, None
        self._work = self._failure = None
        self._waiting.clear()
        if runner is not None:
            runner.close()

    def _run(self, task: Task) -> Event:
        if self._runner is None:
            return Broken(task=task, error=self._failure or RuntimeError("the engine has no runner"))
        try:
            return Finished(task=task, result=self._runner.run(task, _NoMarker()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - it reaches the driver as an event
            return Broken(task=task, error=error)


class _NoMarker:
    """Notes nothing: whoever would read it dies with the worker."""

    def running(self, first: int, stop: int) -> None:
        """Note nothing."""

    def idle(self) -> None:
        """Note nothing."""
