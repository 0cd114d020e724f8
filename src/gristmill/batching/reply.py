"""Pair a handler's reply with its items: every item its own answer, or none is trusted."""

from __future__ import annotations

import asyncio
import collections.abc
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from gristmill.errors import (
    BatchCancelled,
    BatchError,
    HandlerFailed,
    ItemMissing,
    ManyFailed,
    ReplyMismatch,
)
from gristmill.model.outcome import Failed, Ok, text_of

logger = logging.getLogger("gristmill.batching")

_SPECIAL: Final = (Ok, Failed, BaseException)
_UNORDERED: Final = (str, bytes, bytearray, memoryview, collections.abc.Set)


class Settled:
    """The answers of one batch.

    Attributes:
        values: One for each item, in their order; None where ``errors`` has the index.
        errors: index -> what the item's caller sees raised.
        fatal: An exit that the handler returned or raised, to re-raise once
            every waiter has its answer.
    """

    __slots__ = ("errors", "fatal", "values")

    def __init__(
        self, values: list[Any], errors: dict[int, Exception], fatal: BaseException | None = None
    ) -> None:
        self.values = values
        self.errors = errors
        self.fatal = fatal


def pair(name: str, items: Sequence[Any], reply: Any) -> Settled:
    """Pair *reply* with *items*: ``reply[i]`` answers ``items[i]``, or ``reply[item]`` in a dict.

    A ``Failed`` or an exception in the place of a value fails that item
    alone; ``Ok(value)`` is unwrapped, so that a value may be an exception.
    Keys of a dict that are no items answer nobody, and are logged by number.

    Raises:
        ReplyMismatch: The reply has another length, or no order; no answer of
            it is given to anybody.
    """
    if type(reply) is list:
        values = reply
    elif isinstance(reply, Mapping):
        values = _by_item(name, items, reply)
    elif isinstance(reply, Collection) and not isinstance(reply, _UNORDERED):
        values = list(reply)
    else:
        raise ReplyMismatch(f"{name} returned {_shown(reply)}; a list of {len(items)} results is expected")
    if len(values) != len(items):
        raise ReplyMismatch(
            f"{name} returned {len(values)} results for {len(items)} items; "
            "return one result for each item, Failed(...) where there is none"
        )
    if any(issubclass(kind, _SPECIAL) for kind in set(map(type, values))):
        return _unpack(name, values)
    return Settled(values, {})


def _shown(reply: Any) -> str:
    return "None" if reply is None else f"a {type(reply).__name__}"


def _by_item(name: str, items: Sequence[Any], reply: Mapping[Any, Any]) -> list[Any]:
    missing = object()
    try:
        values = [reply.get(item, missing) for item in items]
    except TypeError as error:
        raise ReplyMismatch(
            f"{name} returned a dict, but its items are not hashable; return a list in the order of the items"
        ) from error
    if unknown := len(reply.keys() - set(items)):
        logger.warning(
            "%s returned a dict with %d keys that are no items; their values answer nobody",
            name,
            unknown,
            extra={"handler": name},
        )
    return [ItemMissing(f"{name} has no result for this item") if v is missing else v for v in values]


def _unpack(name: str, values: Sequence[Any]) -> Settled:
    settled: list[Any] = list(values)
    errors: dict[int, Exception] = {}
    fatal: BaseException | None = None
    seen: set[int] = set()
    for index, value in enumerate(values):
        if isinstance(value, Ok):
            settled[index] = value.value
        elif isinstance(value, Failed | BaseException):
            error = value.exception() if isinstance(value, Failed) else value
            settled[index] = None
            if not isinstance(error, Exception):
                if not isinstance(error, asyncio.CancelledError):
                    fatal = error
                errors[index] = _because(BatchCancelled(f"{name} was cancelled for this item"), error)
            elif id(error) in seen or isinstance(error, StopIteration):  # no future may hold a StopIteration
                errors[index] = another(error)
            else:
                errors[index] = error
            seen.add(id(error))
    return Settled(settled, errors, fatal)


def another(error: Exception) -> Exception:
    """Return an exception that says what *error* says, for one more caller of its own."""
    if isinstance(error, BatchError) and not isinstance(error, ManyFailed):
        twin: BatchError = type(error).__new__(type(error), *error.args)
        twin.args = error.args
        twin.__dict__.update(error.__dict__)
        twin.__cause__ = error.__cause__
        return twin
    twin = HandlerFailed(text_of(error))
    twin.retryable = bool(getattr(error, "retryable", False))  # of the item, as the first caller is told
    return _because(twin, error)


def _because(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def whole_batch(name: str, cause: BaseException) -> BatchError:
    """Name the failure of a whole batch that *cause* ended."""
    if isinstance(cause, BatchError) and not isinstance(cause, ManyFailed):
        return cause  # of another handler; but the indices of its list mean nothing to these items
    if isinstance(cause, Exception):
        failure: BatchError = HandlerFailed(f"{name} raised {type(cause).__name__}: {text_of(cause)}")
    else:
        failure = BatchCancelled(f"{name} ended without a reply: {type(cause).__name__}")
    failure.__cause__ = cause
    return failure


def all_failed(error: Exception, count: int) -> Settled:
    """Give each of *count* items its own instance of *error*."""
    errors = {0: error} if count else {}
    for index in range(1, count):
        errors[index] = another(error)
    return Settled([None] * count, errors)
