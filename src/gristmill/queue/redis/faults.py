"""From the client's errors to ours: the one place that knows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from gristmill.errors import StoreError, StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable

_KINDS: tuple[tuple[tuple[type[Exception], ...], type[StoreError], str], ...] = (
    (
        (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
        ),  # before ConnectionError: they are such
        StoreMisconfigured,
        "the server refused the login; check user and password in the URL",
    ),
    (
        (exceptions.NoPermissionError,),
        StoreMisconfigured,
        "the user of the URL may not do all that is needed",
    ),
    (
        (exceptions.ConnectionError, exceptions.TimeoutError, OSError),
        StoreUnavailable,
        "the server cannot be reached, or did not answer in time",
    ),
    (
        (exceptions.OutOfMemoryError,),
        StoreFull,
        "the server has no memory left; raise maxmemory, or let workers catch up",
    ),
    ((exceptions.ReadOnlyError,), StoreReadOnly, "the server takes no writes, as a replica does"),
    (
        (exceptions.ClusterError, exceptions.AskError, exceptions.TryAgainError),
        StoreUnavailable,
        "the cluster is moving, or not whole",
    ),
)
_PASSING = ("BUSY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "UNBLOCKED")
"""First words of answers that another try, a little later, may not get."""


_NO_DATABASE = ("DB index is out of range", "invalid DB index", "SELECT is not allowed in cluster mode")
"""Answers of a server that has no database of the URL's number."""


def is_no_database(error: StoreError) -> bool:
    """Tell whether a server said that it has no database of the URL's number."""
    return any(text in str(error.__cause__) for text in _NO_DATABASE)


@contextmanager
def mapped() -> Iterator[None]:
    """Raise what the client raises in here as an error of ours, with the cause chained."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise store_error(error) from error


def store_error(error: Exception) -> StoreError:
    """Return the error of ours that says what *error* says."""
    for kinds, ours, meaning in _KINDS:
        if isinstance(error, kinds):
            return ours(f"{meaning}: {error}")
    text = str(error)
    first = text.partition(" ")[0]
    if any(each in text for each in _NO_DATABASE):
        return StoreMisconfigured(
            f"the server has no database of the number in the URL ({text}): end the URL with /0, which every "
            "server has, or raise databases in its configuration"
        )
    if first == "MISCONF" and "No space left" in text:
        return StoreFull(f"the server's disk is full: {text}")
    if first == "MISCONF":
        return StoreReadOnly(f"the server cannot save, so it takes no writes: {text}")
    if first in _PASSING:
        return StoreUnavailable(f"the server is not ready: {text}")
    return StoreError(f"the server refused: {text}")
