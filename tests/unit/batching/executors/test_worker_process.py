from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gristmill.batching.executors import Processes
from gristmill.batching.executors.remote_error import RemoteError, RemoteTraceback
from gristmill.errors import ConfigurationError, WorkerDied


class TwoArguments(Exception):
    def __init__(self, left: int, right: int) -> None:
        super().__init__(f"{left} and {right}")


class LoadsNowhere:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return (load_in, (self.pid,))


def load_in(pid: int) -> int:
    if os.getpid() != pid:
        raise LookupError("not here")
    return pid


def pid_of(*_args: object) -> int:
    return os.getpid()


def echo(item: Any) -> Any:
    return item


def fail(kind: type[BaseException], *args: Any) -> None:
    raise kind(*args)


def reply_with_a_lock() -> Any:
    return threading.Lock()


def reply_that_loads_nowhere() -> Any:
    return LoadsNowhere(os.getpid())


@pytest.fixture(scope="module")
def one() -> Iterator[Processes]:
    executor = Processes(1)
    yield executor
    executor.close()


async def test_an_exception_arrives_with_the_traceback_of_the_worker(one: Processes):
    with pytest.raises(KeyError) as caught:
        await one.run(fail, (KeyError, "id"))
    assert caught.value.args == ("id",)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "in fail" in caught.value.__cause__.text


async def test_an_exception_that_cannot_be_rebuilt_is_stood_in_for(one: Processes):
    with pytest.raises(RemoteError, match=r"TwoArguments: 1 and 2") as caught:
        await one.run(fail, (TwoArguments, 1, 2))
    assert "in fail" in str(caught.value.__cause__)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_an_exit_of_the_function_ends_neither_its_worker_nor_this_process(
    one: Processes, kind: type[BaseException]
):
    pid = await one.run(pid_of, ())
    with pytest.raises(WorkerDied, match=rf"fail raised {kind.__name__}\(3\)") as caught:
        await one.run(fail, (kind, 3))
    assert isinstance(caught.value.__cause__, kind)
    assert await one.run(pid_of, ()) == pid


@pytest.mark.parametrize(
    ("function", "args", "text"),
    [
        (echo, (threading.Lock(),), r"the arguments of .*echo cannot be sent to a worker process: TypeError"),
        (echo, (LoadsNowhere(os.getpid()),), r"the arguments of echo cannot be read .*LookupError: not here"),
        (reply_with_a_lock, (), r"the reply of reply_with_a_lock cannot be sent .*cannot pickle"),
        (reply_that_loads_nowhere, (), r"the reply of .* cannot be read .*LookupError: not here"),
    ],
)
async def test_what_cannot_be_pickled_fails_its_batch_and_keeps_the_worker(
    one: Processes, function: Callable[..., Any], args: tuple[Any, ...], text: str
):
    pid = await one.run(pid_of, ())
    with pytest.raises(ConfigurationError, match=text):
        await one.run(function, args)
    assert await one.run(pid_of, ()) == pid
