"""SIGTERM while callers wait: they are answered at once, and the process ends."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

HEAD = b"POST %b HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
# uvicorn ends by the signal it was sent, which the shell and supervisors take for a proper end.
EXIT_CODES = {"uvicorn": -signal.SIGTERM, "granian": 0, "gristmill": 0}


def send(server: Any, path: bytes, body: bytes) -> socket.socket:
    caller: socket.socket = server.connect()
    caller.sendall(HEAD % (path, len(body)) + body)
    return caller


def received_by(caller: socket.socket) -> bytes:
    received = b""
    while chunk := caller.recv(65536):
        received += chunk
    caller.close()
    return received


def await_pending(server: Any, count: int) -> None:
    await_metric(server, b'gristmill_pending_items{handler="patient"} %d.0' % count)


def await_metric(server: Any, wanted: bytes) -> None:
    while wanted not in server.get("/metrics").body:
        pass


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("uvicorn", "served_app:ordinary"),
        ("granian", "served_app:ordinary"),
        ("gristmill", "served_app:ordinary"),
        ("uvicorn", "served_fastapi:fastapi"),
        ("granian", "served_fastapi:fastapi"),
    ],
)
def test_callers_in_a_long_wait_are_answered_at_the_signal(start: Any, kind: str, target: str) -> None:
    with start(kind, target) as server:
        single = send(server, b"/v1/patient", b'"a"')
        batch = send(server, b"/v1/patient/batch", b'["b","c"]')
        stream = server.connect()
        stream.sendall(
            b"POST /v1/patient/stream HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-ndjson\r\n"
            b'Transfer-Encoding: chunked\r\n\r\n4\r\n"d"\n\r\n'
        )
        await_pending(server, 4)
        server.process.send_signal(signal.SIGTERM)
        answers = [received_by(caller) for caller in (single, batch, stream)]
        assert server.process.wait(timeout=240) == EXIT_CODES[kind]
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 3
    assert answers[0].endswith(b'"a"')
    assert b'"counts":{"total":2,"succeeded":2,"failed":0,"unprocessed":0}' in answers[1]
    assert b'{"index":0,"status":200,"result":"d"}' in answers[2]
    trailer = json.loads(answers[2][answers[2].index(b'{"done"') :].splitlines()[0])
    assert (trailer["done"], trailer["error"]["code"]) == (False, "closed")


def test_sigint_is_a_proper_end_too(start: Any) -> None:
    with start("gristmill", "served_app:ordinary") as server:
        caller = send(server, b"/v1/patient", b'"a"')
        await_pending(server, 1)
        server.process.send_signal(signal.SIGINT)
        assert received_by(caller).endswith(b'"a"')
        assert server.process.wait(timeout=240) == 0


def test_a_handler_that_hangs_holds_up_neither_its_callers_nor_the_end(start: Any) -> None:
    with start("gristmill", "served_app:ordinary", "--graceful-timeout", "0") as server:
        callers = [send(server, b"/v1/stuck", b"1"), send(server, b"/v1/stuck/batch", b"[2]")]
        await_metric(server, b'gristmill_running_items{handler="stuck"} 1.0')
        await_metric(server, b'gristmill_pending_items{handler="stuck"} 1.0')
        server.process.send_signal(signal.SIGTERM)
        single, batch = [received_by(caller) for caller in callers]
        assert server.process.wait(timeout=240) == 0
    assert single.startswith(b"HTTP/1.1 503")
    assert b'"code":"closed"' in single
    assert b'"counts":{"total":1,"succeeded":0,"failed":0,"unprocessed":1}' in batch


@pytest.mark.parametrize("name", [b"deaf", b"threaded"])
def test_a_handler_that_does_not_end_when_cancelled_is_left_behind(start: Any, name: bytes) -> None:
    with start("gristmill", "served_app:unending", "--graceful-timeout", "0") as server:
        caller = send(server, b"/v1/" + name, b"1")
        await_metric(server, b'gristmill_running_items{handler="%b"} 1.0' % name)
        server.process.send_signal(signal.SIGTERM)
        assert b'"code":"closed"' in received_by(caller)
        assert server.process.wait(timeout=240) == 1


@pytest.mark.parametrize(("grace", "signals"), [("0", 1), ("600", math.inf)])
def test_a_handler_that_blocks_the_loop_does_not_keep_the_process(
    start: Any, tmp_path: Path, grace: str, signals: float
) -> None:
    began = tmp_path / "began"
    with start("gristmill", "served_app:unending", "--graceful-timeout", grace) as server:
        caller = send(server, b"/v1/blocking", json.dumps(str(began)).encode())
        while not began.exists():
            pass
        while signals > 0 and server.process.poll() is None:
            server.process.send_signal(signal.SIGTERM)
            signals -= 1
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(timeout=0.2)
        assert server.process.wait(timeout=240) == 1
        caller.close()
