"""What a pool and its workers say to each other, as headers and bodies of frames."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from typing import cast

from gristmill.batching.executors.remote_error import RemoteFailure
from gristmill.batching.executors.remote_error import pack as pack_error
from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Result, Task
from gristmill.streams.engines.frames import Body, Frame
from gristmill.streams.engines.protocol import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The worker has started; *rss* is its resident memory, in bytes, 0 if unknown."""

    rss: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of the task that the worker took first of those it has not answered.

    Attributes:
        result: Of the task, if it ran.
        failure: What it raised, if it did not.
        rss: Resident memory of the worker after it, in bytes, 0 if unknown.
    """

    result: Result | None = None
    failure: RemoteFailure | None = None
    rss: int


def dump_work(work: Work) -> bytes:
    """Return *work* as a header.

    Raises:
        ConfigurationError: It cannot be pickled.
    """
    try:
        return pickle.dumps(work, protocol=5)
    except Exception as error:
        raise ConfigurationError(
            f"the work cannot be sent to worker processes: {type(error).__name__}: {error}; "
            "it must be data that pickle takes, its functions at the top level of a module"
        ) from error


def load_work(frame: Frame) -> Work:
    """Return the work of a frame; raises whatever the import of its module does."""
    return cast("Work", pickle.loads(frame.header))  # noqa: S301 - from our parent process


def dump_task(task: Task) -> tuple[bytes, Body]:
    """Return *task* as a header and a body; the content of its chunk is not copied."""
    body = task.chunk.body
    if not body:
        return pickle.dumps(task, protocol=5), b""
    return pickle.dumps(replace(task, chunk=replace(task.chunk, body=None)), protocol=5), body


def load_task(frame: Frame) -> Task:
    """Return the task of a frame."""
    task: Task = pickle.loads(frame.header)  # noqa: S301 - from our parent process
    if not frame.body:
        return task
    return replace(task, chunk=replace(task.chunk, body=cast("bytes", frame.body)))


def dump_ready(rss: int) -> bytes:
    """Return ``Ready`` as a header."""
    return pickle.dumps(Ready(rss=rss), protocol=5)


def dump_result(result: Result, rss: int) -> tuple[bytes, Body]:
    """Return the answer of a task that ran as a header and a body; the result's own body is not copied.

    Raises:
        ConfigurationError: It cannot be pickled, or is no result.
    """
    try:
        body = result.body
        return pickle.dumps(Answer(result=replace(result, body=b""), rss=rss), protocol=5), body
    except Exception as error:
        raise ConfigurationError(
            f"the result of a chunk cannot be sent from its worker process: {type(error).__name__}: {error}"
        ) from error


def dump_failure(error: BaseException, rss: int) -> bytes:
    """Return the answer of a task that raised *error* as a header; never raises."""
    return pickle.dumps(Answer(failure=pack_error(error), rss=rss), protocol=5)


def load_message(frame: Frame) -> Ready | Answer:
    """Return the message of a frame that a worker sent."""
    message: Ready | Answer = pickle.loads(frame.header)  # noqa: S301 - from our own worker
    if isinstance(message, Answer) and message.result is not None:
        message.result.body = frame.body
    return message
