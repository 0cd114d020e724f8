from __future__ import annotations

import threading

import pytest

from gristmill.batching.executors.remote_error import RemoteError, RemoteTraceback, pack, unpack


class TwoArguments(Exception):
    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


class Mute(Exception):
    def __str__(self) -> str:
        raise LookupError


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001 - given its traceback
        return caught


def test_an_exception_keeps_type_arguments_and_notes():
    error = raised(KeyError("id"))
    error.add_note("of user 7")
    copy = unpack(pack(error))
    assert type(copy) is KeyError
    assert copy.args == ("id",)
    assert copy.__notes__ == ["of user 7"]


def test_the_traceback_of_the_worker_is_the_cause():
    copy = unpack(pack(raised(ValueError("no"))))
    assert isinstance(copy.__cause__, RemoteTraceback)
    assert "in raised" in str(copy.__cause__)


@pytest.mark.parametrize(
    ("error", "text"),
    [(TwoArguments(1, 2), "TwoArguments: 1 and 2"), (ValueError(threading.Lock()), "ValueError: <unlocked")],
)
def test_an_exception_that_cannot_travel_is_stood_in_for(error: Exception, text: str):
    copy = unpack(pack(raised(error)))
    assert isinstance(copy, RemoteError)
    assert text in str(copy)
    assert copy.type_name.endswith(type(error).__name__)
    assert "in raised" in str(copy.__cause__)


def test_an_exception_whose_text_fails_still_travels():
    assert pack(raised(Mute())).text == "<its text failed with LookupError>"
