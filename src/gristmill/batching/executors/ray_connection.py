"""The door to Ray: the only module that imports it."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import queue
import sys
import threading
from typing import Any

from gristmill.batching.executors.remote_error import RemoteTraceback
from gristmill.errors import ConfigurationError, WorkerDied

PATIENCE = 30.0
"""Seconds that workers may wait for a place in the cluster before the log says so, and again after each."""

_connecting = threading.Lock()
_was_forked_from_connected = False


def check_options(name: str, *, workers: int | None, num_cpus: float, num_gpus: float) -> None:
    """Raise ConfigurationError if Ray is not installed or an option is out of range."""
    if importlib.util.find_spec("ray") is None:
        raise ConfigurationError(f"{name}() needs the package ray: pip install 'gristmill[ray]'")
    if workers is not None and workers < 1:
        raise ConfigurationError(f"{name}(workers={workers}): use 1 or more, or None for the default")
    for option, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus)):
        if not 0 <= value < math.inf:
            raise ConfigurationError(f"{name}({option}={value}): use 0 or more")


def connect(address: str | None, cpus: int) -> Any:
    """Return the module ``ray``, connected; from any thread.

    Args:
        address: as ``Ray`` takes it; not used if this process is connected already.
        cpus: what a local Ray that has to be started needs at least.

    Raises:
        ConfigurationError: This process was forked from one that was connected.
        WorkerDied: No cluster answers there.
    """
    if _was_forked_from_connected:
        raise ConfigurationError(
            "this process was forked from one that was connected to Ray, and cannot use that connection: "
            "call handlers that run on Ray only after the fork, or start processes by spawn"
        )
    # What Ray tells of a dead worker it prints on standard output, amid results; we tell it ourselves.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray  # noqa: PLC0415 - an optional package, and a slow import

    with _connecting:
        if not ray.is_initialized():
            _init(ray, address or os.environ.get("RAY_ADDRESS") or "local", cpus)
    return ray


def connection_of(ray: Any) -> object:
    """Return what is equal for the same connection to the same cluster."""
    context = ray.get_runtime_context()
    return context.get_node_id(), context.get_job_id()


def cause_of(error: Any) -> BaseException:
    """Return what was raised in a worker, out of the ``RayTaskError`` it came in."""
    cause = error.cause
    if not isinstance(cause, BaseException):
        return error  # type: ignore[no-any-return]
    cause.__cause__ = RemoteTraceback(str(error))
    return cause


def reason_of(error: BaseException) -> str:
    """Return in a few words why a worker ended."""
    text = str(error)
    if "`ray.kill`" in text:
        return "was killed by ray.kill"
    if "connection error code 2" in text:
        return "died (killed by a signal, out of memory, or a crash in native code)"
    detail = text.partition("Worker exit detail:")[2] or text
    first = " ".join(detail.split("Some common causes")[0].split())
    return f"died of {type(error).__name__}: {first[:300]}"


def shortage(ray: Any, wanted: dict[str, float]) -> str:
    """Return in words what the cluster lacks for an actor that wants *wanted*."""
    total, free = ray.cluster_resources(), ray.available_resources()
    for option, name in (("num_cpus", "CPU"), ("num_gpus", "GPU")):
        need, has, rest = wanted[option], total.get(name, 0.0), free.get(name, 0.0)
        if need > has:
            return f"the cluster has {has:g} {name} in all and a worker asks for {need:g}: add a node"
        if need > rest:
            return f"the cluster has no free {name} ({rest:g} of {has:g} free, {need:g} for each worker)"
    return (
        "the cluster has not found a node for it yet (a node that is short of memory or disk takes no work)"
    )


def _init(ray: Any, address: str, cpus: int) -> None:
    """Connect from another thread, which lives on: see why below."""
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    options: dict[str, Any] = {}
    if address == "local":
        options = {"num_cpus": max(cpus, os.cpu_count() or 1), "include_dashboard": False}

    def init() -> None:
        try:
            ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **options)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            ended.put(error)
            return
        ended.put(None)
        # The kernel kills the processes of a local Ray when the thread that started them ends.
        threading.Event().wait()

    # In the main thread Ray would take the handler of SIGTERM for itself.
    threading.Thread(target=init, name="gristmill-ray", daemon=True).start()
    failure = ended.get()
    if failure is not None:
        raise WorkerDied(
            f"Ray at {address!r} could not be reached: {type(failure).__name__}: {failure}"
        ) from failure


def node_id() -> str:
    """Return the node that this process, an actor, is on."""
    import ray  # noqa: PLC0415 - as above

    return str(ray.get_runtime_context().get_node_id())


def _after_fork() -> None:
    global _was_forked_from_connected  # noqa: PLW0603 - a fact of the process
    ray = sys.modules.get("ray")
    if ray is not None and getattr(ray, "is_initialized", bool)():
        _was_forked_from_connected = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
