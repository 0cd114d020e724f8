"""Run batches in processes."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import util
from typing import Any, Literal

from gristmill.batching.executors.child_process import context_of, cpus
from gristmill.batching.executors.crew import Crew, after_fork, name_of
from gristmill.batching.executors.function_ref import refer
from gristmill.batching.executors.process_worker import do_nothing
from gristmill.batching.executors.protocol import Function
from gristmill.batching.executors.worker_process import WorkerOptions, WorkerProcess
from gristmill.errors import ConfigurationError, WorkerDied


class Processes:
    """Runs batches in worker processes; the death of one costs its batch and no other.

    A worker has one batch at a time. It is started by the first batch that
    finds no idle one, kept for later batches and event loops, and replaced
    when it dies. Workers end with the executor, with the interpreter, and
    when their parent is killed. They ignore Ctrl-C and read nothing from
    standard input.

    The function travels by name, so it must be defined at the top level of a
    module or script; others need cloudpickle. Items and replies are pickled.
    An exception arrives with the traceback of the worker as its
    ``__cause__``; one that cannot be pickled arrives as a ``RemoteError``
    with its type name and text. Context variables stay behind. An
    ``async def`` function runs on an event loop that its worker keeps.

    Args:
        workers: the most batches at once; more wait in line. None: the CPUs
            this process may use.
        initializer: called with *initargs* in every new worker. If it raises,
            the batch the worker was started for fails with ``WorkerDied``;
            the next batch tries again.
        initargs: the arguments of *initializer*.
        max_batches: a worker ends after so many batches, which bounds what a
            leaking library may hold. None: never.
        start_method: ``"forkserver"`` (the default where it exists) or
            ``"spawn"``. Both load a script again in each worker, without
            what is under ``if __name__ == "__main__":``.

    Raises:
        ConfigurationError: An option is out of range, or the start method does not exist here.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_batches: int | None = None,
        start_method: Literal["forkserver", "spawn"] | None = None,
    ) -> None:
        count: object = workers  # whatever was given
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ConfigurationError(
                f"Processes(workers={workers!r}): use 1 or more, or None for one per CPU"
            )
        if max_batches is not None and max_batches < 1:
            raise ConfigurationError(
                f"Processes(max_batches={max_batches}): use 1 or more, or None for no end"
            )
        self._workers = workers or cpus()
        options = WorkerOptions(
            context=context_of(start_method, "Processes"),
            initializer=initializer or do_nothing,
            initargs=initargs,
            max_batches=max_batches,
        )
        self._crew = Crew("gristmill-process", self._workers, lambda: WorkerProcess(options))
        self._close_at_end()
        after_fork(self._start_empty)

    @property
    def slots(self) -> int:
        """The most batches at once."""
        return self._workers

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Call ``function(*args)`` in a worker and return what it returned, or raise what it raised.

        Raises:
            WorkerDied: The worker ended before it replied, or could not be started; or the function
                asked for its end, as ``sys.exit`` does, which is no end of this process.
            ConfigurationError: The function, its arguments or its reply cannot be sent between processes.
            BatchCancelled: The executor was closed before the call ended.

        Cancellation returns at once and kills the worker.
        """
        try:
            return await self._crew.run(function, args)
        except (SystemExit, KeyboardInterrupt) as error:
            raise WorkerDied(
                f"{name_of(function)} raised {error!r} in its worker process, which ends its batch only"
            ) from error

    def check(self, function: Function) -> None:
        """Tell early whether workers can find *function*.

        Raises:
            ConfigurationError: They cannot; the message says what to do.
        """
        refer(function)

    def close(self) -> None:
        """End idle workers and kill busy ones, whose batches get ``BatchCancelled``.

        Returns at once; the processes are gone soon after. A later ``run``
        starts anew. Idempotent.
        """
        self._crew.close()

    def __repr__(self) -> str:
        return f"Processes(workers={self._workers}) <{self._crew!r}>"

    def _start_empty(self) -> None:
        self._crew.reset()
        self._close_at_end()

    def _close_at_end(self) -> None:
        # multiprocessing waits for its children when the interpreter ends. Its own finalizers run before
        # that, the atexit functions of others perhaps not. One counts only in the process that made it.
        util.Finalize(self, self._crew.close, exitpriority=10)
