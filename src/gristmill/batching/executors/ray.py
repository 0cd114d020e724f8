"""Run batches in Ray actors."""

from __future__ import annotations

import logging
import math
import os
import pickle
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from gristmill.batching.executors.call_server import CallServer, pack_call, unpack_reply
from gristmill.batching.executors.crew import Crew, Job, after_fork, name_of
from gristmill.batching.executors.function_ref import refer
from gristmill.batching.executors.process_worker import do_nothing
from gristmill.batching.executors.protocol import Function
from gristmill.batching.executors.ray_connection import (
    PATIENCE,
    cause_of,
    check_options,
    connect,
    connection_of,
    reason_of,
    shortage,
)
from gristmill.batching.executors.remote_error import unpack
from gristmill.errors import WorkerDied

_IDLE = 0.02
"""Seconds after which an idle actor is asked whether it is still there; one round trip is about 1 ms."""

_log = logging.getLogger("gristmill.executors.ray")
_leaked: list[object] = []


class Ray:
    """Runs batches in actors of a Ray cluster; the death of one costs its batch and no other.

    Connects when the first batch comes: to the Ray this process is connected
    to already, to *address*, to ``RAY_ADDRESS``, or else to a local Ray that
    is started for this process and ends with it. Ray's banner, dashboard and
    worker output stay away; what handlers print is in Ray's own log files.

    An actor has one batch at a time. It is started by the first batch that
    finds no idle one, kept for later batches and event loops, and replaced
    when it dies. Ray never runs a batch again by itself (``max_restarts=0``,
    ``max_task_retries=0``): whether it is tried again is the handler's
    ``retry`` to say.

    The function travels by name, so its module must be importable on the
    nodes (Gristmill too); others travel by value, with cloudpickle. Items and
    replies are pickled. An exception arrives with the traceback of the actor
    as its ``__cause__``; one that cannot be pickled arrives as a
    ``RemoteError``. An ``async def`` function runs on an event loop that its
    actor keeps.

    Args:
        address: of the cluster, as ``ray.init`` takes it: ``"auto"``,
            ``"10.0.0.1:6379"``. None: see above.
        workers: the most batches at once, each in an actor; more wait in
            line. None: as many as the ``concurrency`` of its handlers asks for.
        num_cpus: logical CPUs that an actor reserves; also those that a local
            Ray is started with, times *workers*, if that is more than the machine has.
        num_gpus: GPUs that an actor reserves; fractions share one.
        initializer: called with *initargs* in every new actor. If it raises,
            the batch the actor was started for fails with ``WorkerDied``; the
            next batch tries again.
        initargs: the arguments of *initializer*.

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
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> None:
        check_options("Ray", workers=workers, num_cpus=num_cpus, num_gpus=num_gpus)
        self._workers = workers
        # Nothing that the crew holds may hold this executor, or it would never be collected.
        connected = partial(connect, address, math.ceil((workers or 1) * num_cpus))
        options = {"num_cpus": num_cpus, "num_gpus": num_gpus}
        hand = partial(_Actor, connected, options, (initializer or do_nothing, initargs))
        self._crew = Crew("gristmill-ray", workers, hand)
        # Ray ends its actors with the interpreter.
        weakref.finalize(self, self._crew.close).atexit = False
        after_fork(self._crew.reset)

    @property
    def slots(self) -> int | None:
        """*workers* as given; None leaves it to each handler."""
        return self._workers

    async def run(self, function: Function, args: tuple[Any, ...]) -> Any:
        """Call ``function(*args)`` in an actor and return what it returned, or raise what it raised.

        Raises:
            WorkerDied: The actor ended before it replied, or could not be started.
            ConfigurationError: The function, its arguments or its reply cannot be sent between processes.
            BatchCancelled: The executor was closed before the call ended.

        Cancellation returns at once and kills the actor.
        """
        return await self._crew.run(function, args)

    def check(self, function: Function) -> None:
        """Tell early whether actors can find *function*.

        Raises:
            ConfigurationError: They cannot; the message says what to do.
        """
        refer(function)

    def close(self) -> None:
        """End idle actors and kill busy ones, whose batches get ``BatchCancelled``.

        Returns at once. The connection to Ray stays, for others may use it;
        ``ray.shutdown()`` ends it. A later ``run`` starts anew. Idempotent.
        """
        self._crew.close()

    def __repr__(self) -> str:
        return f"Ray(workers={self._workers}) <{self._crew!r}>"


class _Server:
    """What an actor is: one thread that makes calls."""

    def __init__(self) -> None:
        self._calls = CallServer()

    def serve(self, header: bytes, args: bytes) -> bytes:
        return self._calls.serve(header, args)[1]

    def pid(self) -> int:
        return os.getpid()


class _Actor:
    """A place for one actor: started by the first call, replaced when it died."""

    def __init__(
        self, connect: Callable[[], Any], options: dict[str, float], hello: tuple[Function, tuple[Any, ...]]
    ) -> None:
        self._connect = connect
        self._options = options
        self._hello = hello
        self._ray: Any = None
        self._actor: Any = None
        self._connection: object = None
        self._pid = 0
        self._rested_at = 0.0
        self._is_stopped = False

    @property
    def is_ready(self) -> bool:
        return self._actor is not None and not self._is_stopped

    def call(self, job: Job) -> Any:
        header, args = pack_call(job.function, job.args)
        self._ensure_started(job)
        try:
            reply = self._ray.get(self._actor.serve.remote(header, args))
        except self._ray.exceptions.RayError as error:
            raise self._ended(error, f"while it ran {name_of(job.function)}") from None
        return unpack_reply(job.function, reply)

    def stop(self) -> bool:
        self._is_stopped = True
        if (actor := self._actor) is not None and self._ray.is_initialized():  # else it is gone
            self._ray.kill(actor)
        return True

    def rest(self) -> None:
        if self._is_stopped:
            self._discard()
        self._rested_at = time.monotonic()

    def release(self) -> None:
        self._discard()

    def forget(self) -> None:
        _leaked.append(self._actor)  # its end would be told to a cluster that the child has no connection to
        self._actor = None

    def _ensure_started(self, job: Job) -> None:
        self._ray = self._connect()
        if self._actor is not None and not self._is_stopped and self._is_there():
            return
        self._discard()
        self._start(job)

    def _is_there(self) -> bool:
        """Tell whether the actor is alive, so that one that died idle costs no batch."""
        if self._connection != connection_of(self._ray):
            self._actor = None  # of a cluster that is gone
            return False
        if time.monotonic() < self._rested_at + _IDLE:
            return True
        try:
            self._ray.get(self._actor.pid.remote())
        except self._ray.exceptions.RayError:
            return False
        return True

    def _start(self, job: Job) -> None:
        header, args = pack_call(*self._hello)
        self._is_stopped = False
        self._connection = connection_of(self._ray)
        self._actor = (
            self._ray.remote(_Server).options(max_restarts=0, max_task_retries=0, **self._options).remote()
        )
        if job.is_dropped or job.is_closed:  # before there was an actor to stop
            self.stop()
        try:
            ready = self._actor.pid.remote()
            while not self._ray.wait([ready], timeout=PATIENCE)[0]:
                _log.warning(
                    "%s waits for an actor: %s", name_of(job.function), shortage(self._ray, self._options)
                )
            self._pid = self._ray.get(ready)
            reply = self._ray.get(self._actor.serve.remote(header, args))
        except self._ray.exceptions.RayError as error:
            raise self._ended(error, f"while it started, before {name_of(job.function)} was called") from None
        is_good, failure = pickle.loads(reply)  # noqa: S301 - from our own actor
        if not is_good:
            self._discard()
            cause = unpack(failure)
            raise WorkerDied(
                f"Ray actor {self._pid} ended before {name_of(job.function)} was called: "
                f"its initializer failed with {type(cause).__name__}: {cause}"
            ) from cause

    def _ended(self, error: BaseException, when: str) -> BaseException:
        """Return what to raise for *error* of Ray."""
        if isinstance(error, self._ray.exceptions.RayTaskError):
            return cause_of(error)  # between Ray and the call: out of memory, for one
        pid = self._pid
        self._discard()
        return WorkerDied(f"Ray actor {pid or '(not started)'} {reason_of(error)} {when}")

    def _discard(self) -> None:
        actor, self._actor = self._actor, None
        self._pid = 0
        if actor is not None and self._ray.is_initialized() and self._connection == connection_of(self._ray):
            self._ray.kill(actor)
