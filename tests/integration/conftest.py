from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.measuring import unmeasured
from tests.ports import free_port

HERE = Path(__file__).parent
COMMANDS = {
    "uvicorn": ["uvicorn", "{target}", "--port", "{port}", "--no-access-log"],
    "granian": ["granian", "{target}", "--port", "{port}", "--interface", "asgi", "--no-ws"],
    "gristmill": ["gristmill", "serve", "{target}", "--port", "{port}"],
}
READY = {
    "uvicorn": "Uvicorn running on",
    "granian": "Started worker-1",
    "gristmill": "Application startup complete",
}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self) -> str:
        """Return the code of the problem this is, checked to be one."""
        assert self.headers["content-type"] == "application/problem+json"
        found = self.json()
        assert found["status"] == self.status
        assert found["type"].startswith("/problems/")
        return str(found["code"])


class Server:
    """A server in a process of its own."""

    def __init__(self, kind: str, process: subprocess.Popen[str], port: int) -> None:
        self.kind = kind
        self.process = process
        self.port = port
        self.lines: list[str] = []

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def await_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if READY[self.kind] in line:
                break
        else:
            pytest.fail(f"{self.kind} did not start: {self.log}")
        threading.Thread(target=self._drain_log, daemon=True).start()
        while not self._accepts() and self.process.poll() is None:
            time.sleep(0.005)  # granian says so a moment before it listens

    def _accepts(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True

    def _drain_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def request(self, method: str, path: str, body: Any = None, /, **headers: str) -> Answer:
        """Send one request on a connection of its own; *body* may be bytes, an iterable of them, or JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=240)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes | Iterator):
            body = json.dumps(body).encode()
        if body is not None and "content-type" not in named:
            named["content-type"] = "application/json"
        try:
            connection.request(method, path, body, named, encode_chunked=isinstance(body, Iterator))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any = None, /, **headers: str) -> Answer:
        return self.request("POST", path, body, **headers)

    def get(self, path: str, /, **headers: str) -> Answer:
        return self.request("GET", path, **headers)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=240)

    def send_raw(self, *pieces: bytes) -> bytes:
        """Send *pieces* as they are and return all that comes until the server closes."""
        with self.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
            return read_to_end(connection)

    def is_well(self) -> bool:
        """Tell whether a good request gets its answer."""
        answer = self.post("/v1/echo", {"text": "well"})
        return answer.status == 200 and answer.json() == {"text": "well"}

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=240)


def read_to_end(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@contextlib.contextmanager
def running(
    kind: str, target: str = "served_app:app", *options: str, port: int | None = None
) -> Iterator[Server]:
    port = port or free_port()
    words = [word.format(target=target, port=port) for word in COMMANDS[kind]]
    # The signal that ends a server of somebody else's ends the process as well, before it saves its figures.
    with contextlib.nullcontext() if kind == "gristmill" else unmeasured():
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(words[0])), *words[1:], *options],
            cwd=HERE,
            env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = Server(kind, process, port)
    try:
        server.await_ready()
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=240)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session", params=["uvicorn", "granian"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each kind, for tests that leave it as it was."""
    with running(request.param) as started:
        yield started


@pytest.fixture(scope="session")
def running_server() -> Any:
    """Start a server of a kind, for fixtures that live long; a context manager."""
    return running


@pytest.fixture
def start() -> Any:
    """Start a server of a kind; a context manager."""
    return running
