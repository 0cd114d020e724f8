"""Run chunks in Ray actors, on one machine or many."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gristmill.batching.executors.ray_connection import PATIENCE, check_options, connect
from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Task
from gristmill.streams.engines.protocol import Event, Work
from gristmill.streams.engines.ray_actor import pack_work
from gristmill.streams.engines.ray_run import RayRun


class RayEngine:
    """Runs tasks in actors of a Ray cluster; an ``Engine``.

    Connects as the executor ``gristmill.Ray`` does. Each actor has one task
    running and one ahead. As many actors work as the cluster has room for, up
    to *workers*; the others start when there is room, and the log says what
    they wait for after 30 seconds in which none could start. Ray repeats
    nothing by itself: what an actor was running when it died is ``Died``,
    what it had ahead goes to another actor without blame.

    Which rows were with the handler is noted in a file on the actor's node
    and read there after its death: by this process if it is the same node,
    else by a small task that asks for no CPU. A note costs a microsecond; a
    call of another actor, the other way to do it, costs 0.4 ms, and 2.7 ms if
    it has to arrive before the handler runs. Notes are lost with their node.

    ``timeout`` is enforced by this process, inside ``wait``, on the clock of
    the actor's node: an actor whose handler call takes longer is killed.

    Results and bodies above 100 KB go through Ray's object store. The driver
    owns them, so a result outlives the actor that made it.

    Args:
        address: of the cluster, as ``gristmill.Ray`` takes it.
        workers: the most actors. None: one for each *num_cpus* of the
            cluster as it is at the start.
        num_cpus: logical CPUs that an actor reserves.
        num_gpus: GPUs that an actor reserves.
        patience: seconds after which the log says what actors wait for.

    Raises:
        ConfigurationError: Ray is not installed, or an option is out of range.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        num_cpus: float = 1,
        num_gpus: float = 0,
        patience: float = PATIENCE,
    ) -> None:
        check_options("RayEngine", workers=workers, num_cpus=num_cpus, num_gpus=num_gpus)
        self._address = address
        self._asked = workers
        self._workers = workers or 1
        self._options = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        self._patience = patience
        self._run: RayRun | None = None

    @property
    def workers(self) -> int:
        """How many tasks run at once, when all actors have found their place; exact after ``start``."""
        return self._workers

    @property
    def room(self) -> int:
        """How many tasks it takes now; those that no actor has room for yet wait in this process."""
        outstanding = 0 if self._run is None else self._run.outstanding
        return max(0, 2 * self._workers - outstanding)

    def start(self, work: Work, *, timeout: float | None) -> None:
        """Connect and ask for the actors; returns before they are there.

        Raises:
            ConfigurationError: *work* cannot be sent to another process, or the engine runs already.
            WorkerDied: No cluster answers.
        """
        if self._run is not None:
            raise ConfigurationError("the engine runs already: stop() it before it is started again")
        packed = pack_work(work)
        cpus = self._options["num_cpus"]
        ray = connect(self._address, math.ceil((self._asked or 1) * cpus))
        if self._asked is None:
            self._workers = max(1, int(ray.cluster_resources().get("CPU", 1) // (cpus or 1)))
        self._run = RayRun(
            ray,
            packed,
            workers=self._workers,
            options=self._options,
            timeout=timeout,
            patience=self._patience,
        )

    def submit(self, task: Task) -> None:
        """Take *task*; it is answered by exactly one event of ``wait``.

        Raises:
            ConfigurationError: The engine is not started, or has no room.
        """
        if self._run is None:
            raise ConfigurationError("the engine is not started")
        if not self.room:
            raise ConfigurationError("the engine has no room for another task: wait() first")
        self._run.submit(task)

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Wait until something happened, or *timeout* seconds; return what did, in any order.

        Returns nothing at once if no task is under way.
        """
        return [] if self._run is None else self._run.wait(timeout)

    def stop(self, *, kill: bool = False) -> None:
        """End the actors; *kill* does not wait for the tasks under way. Idempotent.

        The tasks that were not answered are forgotten. The connection to Ray
        stays. The engine may be started again.
        """
        run, self._run = self._run, None
        if run is not None:
            run.end(kill=kill)

    def __repr__(self) -> str:
        return f"RayEngine(workers={self._workers}) <{self._run!r}>"
