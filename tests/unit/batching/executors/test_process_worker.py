from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from gristmill.batching.executors.function_ref import refer
from gristmill.batching.executors.parent_death import PARENT_IS_GONE
from gristmill.batching.executors.process_worker import do_nothing, work


def busy(fifo: str) -> None:
    Path(fifo).write_text("busy")
    while True:
        pass


def send(connection: Connection, function: Callable[..., Any], *args: Any) -> None:
    connection.send_bytes(pickle.dumps(refer(function)))
    connection.send_bytes(pickle.dumps(args))


@pytest.fixture
def worker() -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs,))
    process.start()
    theirs.close()
    send(ours, do_nothing)
    assert ours.recv() == (True, None)
    return process, ours


def test_an_idle_worker_ends_quietly_when_its_parent_hangs_up(worker: tuple[BaseProcess, Connection]):
    process, connection = worker
    connection.close()
    process.join(20)
    assert process.exitcode == 0


def test_a_busy_worker_ends_at_once_when_its_parent_hangs_up(
    worker: tuple[BaseProcess, Connection], tmp_path: Path
):
    process, connection = worker
    os.mkfifo(tmp_path / "fifo")
    send(connection, busy, str(tmp_path / "fifo"))
    assert (tmp_path / "fifo").read_text() == "busy"
    connection.close()
    process.join(20)
    assert process.exitcode == PARENT_IS_GONE
