"""From the client's errors to ours: the one place that knows both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import exceptions

from gristmill.errors import StoreError, StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable

_PASSING = ("BUSY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "UNBLOCKED")
"""First words of answers that another try, a little later, may not get."""


@contextmanager
def mapped() -> Iterator[None]:
    """Raise what the client raises in here as an error of ours, with the cause chained."""
    try:
        yield
    except (exceptions.RedisError, OSError) as error:
        raise store_error(error) from error


def store_error(error: Exception) -> StoreError:
    """Return the error of ours that says what *error* says."""
    match error:
        case exceptions.AuthenticationError() | exceptions.AuthorizationError():
            return StoreMisconfigured(f"the server refused the login: {error}; check user and password in the URL")
        case exceptions.NoPermissionError():
            return StoreMisconfigured(f"the user of the URL may not do all that is needed: {error}")
        case exceptions.ConnectionError() | exceptions.TimeoutError() | OSError():
            return StoreUnavailable(f"the server cannot be reached, or did not answer in time: {error}")
        case exceptions.OutOfMemoryError():
            return StoreFull(f"the server has no memory left: {error}; raise maxmemory, or let workers catch up")
        case exceptions.ReadOnlyError():
            return StoreReadOnly(f"the server takes no writes: {error}; is it a replica?")
        case exceptions.ClusterError():
            return StoreUnavailable(f"the cluster is not ready: {error}")
        case exceptions.ResponseError():
            return _of_answer(str(error))
    return StoreError(f"the server refused: {error}")


def _of_answer(text: str) -> StoreError:
    first = text.partition(" ")[0]
    if first == "OOM":
        return StoreFull(f"the server has no memory left: {text}; raise maxmemory, or let workers catch up")
    if first == "MISCONF" and "No space left" in text:
        return StoreFull(f"the server's disk is full: {text}")
    if first == "MISCONF":
        return StoreReadOnly(f"the server cannot save, so it takes no writes: {text}")
    if first in _PASSING:
        return StoreUnavailable(f"the server is not ready: {text}")
    return StoreError(f"the server refused: {text}")
