"""What a pool and its workers say to each other, as headers and bodies of frames."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeAlias, cast

from gristmill.batching.executors.remote_error import RemoteFailure
from gristmill.batching.executors.remote_error import pack as pack_error
from gristmill.errors import ConfigurationError
from gristmill.streams.chunk import Chunk, Counts, Result, Task
from gristmill.streams.engines.frames import Body, Frame
from gristmill.streams.engines.protocol import Work
from gristmill.streams.engines.slots import ParentSlots, Place, WorkerSlots

_Values: TypeAlias = tuple[Any, ...]

# Pickle writes a dataclass with slots by its fields, through Python, in ten times what a tuple of their
# values costs. What is nested or goes as a body is apart.
_APART = {"chunk", "counts", "body"}


def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.name not in _APART)


_CHUNK, _TASK, _RESULT, _COUNTS = _names(Chunk), _names(Task), _names(Result), _names(Counts)
_of_chunk, _of_task, _of_result, _of_counts = (
    attrgetter(*names) for names in (_CHUNK, _TASK, _RESULT, _COUNTS)
)


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
    values = (_of_chunk(task.chunk), body is not None, _of_task(task))
    return pickle.dumps(values, protocol=5), body or b""


def load_task(frame: Frame) -> Task:
    """Return the task of a frame."""
    of_chunk, has_body, of_task = pickle.loads(frame.header)  # noqa: S301 - from our parent process
    body = cast("bytes", frame.body) if has_body else None
    chunk = Chunk(body=body, **dict(zip(_CHUNK, of_chunk, strict=True)))
    return Task(chunk=chunk, **dict(zip(_TASK, of_task, strict=True)))


def dump_ready(rss: int) -> bytes:
    """Return ``Ready`` as a header."""
    return pickle.dumps((rss,), protocol=5)


def dump_result(result: Result, rss: int, slots: WorkerSlots | None = None) -> tuple[bytes, Body]:
    """Return the answer of a task that ran as a header and a body.

    Args:
        result: Of the task; its body is copied into one of *slots*, or not at all.
        rss: As ``Answer`` has it.
        slots: Shared with the parent.

    Raises:
        ConfigurationError: It cannot be pickled, or is no result.
    """
    place = None
    try:
        values = (_of_counts(result.counts), _of_result(result))
        place = None if slots is None else slots.put(result.body)
        return pickle.dumps((rss, values, None, place), protocol=5), b"" if place else result.body
    except Exception as error:
        if place is not None and slots is not None:
            slots.put_back(place)
        raise ConfigurationError(
            f"the result of a chunk cannot be sent from its worker process: {type(error).__name__}: {error}"
        ) from error


def dump_failure(error: BaseException, rss: int) -> bytes:
    """Return the answer of a task that raised *error* as a header; never raises."""
    return pickle.dumps((rss, None, pack_error(error), None), protocol=5)


def load_message(frame: Frame, slots: ParentSlots | None = None) -> Ready | Answer:
    """Return the message of a frame that a worker sent, which shares *slots*."""
    rss, *answer = pickle.loads(frame.header)  # noqa: S301 - from our own worker
    if not answer:
        return Ready(rss=rss)
    values: tuple[_Values, _Values] | None
    failure: RemoteFailure | None
    place: Place | None
    values, failure, place = answer
    if values is None:
        return Answer(failure=failure, rss=rss)
    of_counts, of_result = values
    counts = Counts(**dict(zip(_COUNTS, of_counts, strict=True)))
    body = frame.body if place is None or slots is None else slots.take(place)
    result = Result(body=body, counts=counts, **dict(zip(_RESULT, of_result, strict=True)))
    return Answer(result=result, rss=rss)
