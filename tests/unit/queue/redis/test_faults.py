"""The client's errors, as ours."""

from __future__ import annotations

import pytest
from redis import exceptions

from gristmill.errors import StoreError, StoreFull, StoreMisconfigured, StoreReadOnly, StoreUnavailable
from gristmill.queue.redis.faults import mapped


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exceptions.ConnectionError("gone"), StoreUnavailable),
        (exceptions.TimeoutError("late"), StoreUnavailable),
        (exceptions.BusyLoadingError("loading"), StoreUnavailable),
        (exceptions.MaxConnectionsError("all in use"), StoreUnavailable),
        (ConnectionResetError("reset"), StoreUnavailable),
        (exceptions.ClusterDownError("down"), StoreUnavailable),
        (exceptions.TryAgainError("again"), StoreUnavailable),
        (exceptions.AskError("3 127.0.0.1:7000"), StoreUnavailable),
        (exceptions.ResponseError("BUSY a script runs"), StoreUnavailable),
        (exceptions.ResponseError("NOREPLICAS not enough"), StoreUnavailable),
        (exceptions.AuthenticationError("invalid password"), StoreMisconfigured),
        (exceptions.NoPermissionError("no permission"), StoreMisconfigured),
        (exceptions.OutOfMemoryError("command not allowed"), StoreFull),
        (exceptions.ResponseError("MISCONF writing to the AOF file: No space left on device"), StoreFull),
        (exceptions.ResponseError("MISCONF unable to persist to disk"), StoreReadOnly),
        (exceptions.ReadOnlyError("a replica"), StoreReadOnly),
        (exceptions.ResponseError("DB index is out of range"), StoreMisconfigured),
        (exceptions.ResponseError("SELECT is not allowed in cluster mode"), StoreMisconfigured),
        (exceptions.ResponseError("ERR something else"), StoreError),
    ],
)
def test_an_error_of_the_client_is_one_of_ours(error: Exception, expected: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, mapped():
        raise error
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    assert str(error) in str(caught.value)


def test_errors_of_others_pass() -> None:
    with pytest.raises(KeyError), mapped():
        raise KeyError("mine")
