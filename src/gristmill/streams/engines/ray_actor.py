"""What runs in a Ray actor: the runner of a stream, task after task."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass, replace
from typing import Any

from gristmill.batching.executors.function_ref import FunctionRef, refer, resolve
from gristmill.batching.executors.ray_connection import node_id
from gristmill.batching.executors.remote_error import RemoteFailure, pack
from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Result, Task
from gristmill.streams.engines.mark_file import MarkFile
from gristmill.streams.engines.protocol import Runner, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An actor is ready.

    Attributes:
        pid: Its process.
        node: The node it is on.
        path: Its mark file there.
    """

    pid: int
    node: str
    path: str


class StreamActor:
    """Runs the tasks of one stream, one after the other."""

    def __init__(self) -> None:
        self._marks: MarkFile | None = None
        self._runner: Runner | None = None
        self._failure: RemoteFailure | None = None

    def open(self, name: str, packed: tuple[bytes, bytes]) -> Opened:
        """Start the work, with a mark file *name*; if it fails, each task is answered with the failure."""
        self._marks = MarkFile(name)
        try:
            self._runner = unpack_work(packed).start()
        except BaseException as error:  # noqa: BLE001 - SystemExit too is the driver's to see
            self._failure = pack(error)
        return Opened(pid=os.getpid(), node=node_id(), path=self._marks.path)

    def run(self, serial: int, task: Task, body: bytes | None) -> Result | RemoteFailure:
        """Run *task*, whose chunk has *body*; a failure is returned, never raised."""
        if self._failure is not None or self._runner is None or self._marks is None:
            return self._failure or pack(RuntimeError("the actor was not opened"))
        self._marks.begin(serial)
        if body is not None:
            task = replace(task, chunk=replace(task.chunk, body=body))
        try:
            result = self._runner.run(task, self._marks)
        except BaseException as error:  # noqa: BLE001 - as above
            return pack(error)
        finally:
            self._marks.idle()
        try:
            pickle.dumps(replace(result, body=b""), protocol=5)
            # A buffer crosses without a copy into the pickle; a memoryview would not cross at all.
            return replace(result, body=pickle.PickleBuffer(result.body))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - what a __reduce__ raises
            why = f"{type(error).__name__}: {error}"
            return pack(ConfigurationError(f"the result of a chunk cannot be sent from its Ray actor: {why}"))

    def close(self) -> None:
        """Let go of everything."""
        if self._runner is not None:
            self._runner.close()
        if self._marks is not None:
            self._marks.close()


def pack_work(work: Work) -> tuple[bytes, bytes]:
    """Return *work* in the shape it travels in: where its class is, and itself.

    Raises:
        ConfigurationError: It cannot be pickled.
    """
    kind: Any = type(work)
    try:
        return pickle.dumps(refer(kind), protocol=5), pickle.dumps(work, protocol=5)
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the work cannot be sent to a Ray actor: {type(error).__name__}: {error}; "
            "define the handler with `def` at the top level of a module"
        ) from error


def unpack_work(packed: tuple[bytes, bytes]) -> Work:
    """Return the work; the module of its class is loaded first, from its file if need be."""
    ref: FunctionRef = pickle.loads(packed[0])  # noqa: S301 - from our driver
    resolve(ref)
    work: Work = pickle.loads(packed[1])  # noqa: S301 - from our driver
    return work
