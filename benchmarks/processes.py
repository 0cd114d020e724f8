"""Server processes of one run: started on a free port, polled until ready, stopped by their pid."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
READY_WITHIN = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server to measure: its command, where it takes items, and what it answers."""

    name: str
    command: Sequence[str]
    path: str
    environment: Mapping[str, str]
    takes_port: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """The end of what the server printed."""
        return self.log.read_text(errors="replace")[-2000:]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.server.path}"

    def resident_megabytes(self) -> float:
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        return sum(member.memory_info().rss for member in family) / 1e6


def python_server(name: str, module: str, path: str, **environment: str) -> Server:
    command = [sys.executable, "-m", f"benchmarks.servers.{module}"]
    return Server(name=name, command=command, path=path, environment=environment)


def gristmill_server(name: str, module: str, path: str, **environment: str) -> Server:
    """An App as its users serve it: by `gristmill serve`."""
    command = [str(Path(sys.executable).with_name("gristmill")), "serve", f"benchmarks.servers.{module}:app"]
    command += ["--log-level", "warning", "--port"]
    return Server(name=name, command=command, path=path, environment=environment, takes_port=True)


def granian_server(name: str, target: str, path: str, **environment: str) -> Server:
    """An ASGI app on granian instead of uvicorn: one worker, the same event loop."""
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "uvloop"]
    command += ["--host", "127.0.0.1", "--no-access-log", "--log-level", "error", target, "--port"]
    return Server(name=name, command=command, path=path, environment=environment, takes_port=True)


def node_server(name: str, file: str, path: str, **environment: str) -> Server:
    command = ["node", str(CACHE / "node" / file)]
    return Server(name=name, command=command, path=path, environment=environment)


def node_is_ready() -> bool:
    """Install the Node peers once into the cache; False when Node is missing or the install fails."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    room = CACHE / "node"
    room.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "node" / "package.json").read_text()
    stamp = room / "installed.json"
    for file in (HERE / "node").iterdir():
        if file.is_file():
            shutil.copy(file, room / file.name)
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=room, timeout=120, check=False, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        print("  npm install took over 120 s: the Node peers are left out")
        return False
    if done.returncode != 0:
        print(f"  npm install failed, the Node peers are left out: {done.stderr.strip()[-300:]}")
        return False
    stamp.write_text(wanted)
    return True


def node_versions() -> str:
    wanted: dict[str, str] = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
    return ", ".join(f"{name} {version}" for name, version in wanted.items())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(entry: Running) -> None:
    give_up = time.monotonic() + READY_WITHIN
    name = entry.server.name
    while time.monotonic() < give_up:
        if entry.process.poll() is not None:
            raise RuntimeError(
                f"{name} ended with {entry.process.returncode} before it answered: {entry.said}"
            )
        try:
            socket.create_connection(("127.0.0.1", entry.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{name} did not listen within {READY_WITHIN:g} s: {entry.said}")


@contextmanager
def running(servers: Sequence[Server]) -> Iterator[dict[str, Running]]:
    """Start all `servers`, yield them by name once they listen, and stop exactly these processes."""
    started: dict[str, Running] = {}
    logs = CACHE / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        for server in servers:
            port = free_port()
            environment = {**os.environ, "NODE_ENV": "production", **server.environment, "PORT": str(port)}
            command = [*server.command, str(port)] if server.takes_port else list(server.command)
            log = logs / f"{server.name}.log"
            with log.open("wb") as file:
                process = subprocess.Popen(
                    command, env=environment, cwd=HERE.parent, stdout=file, stderr=subprocess.STDOUT
                )
            started[server.name] = Running(server, port, process, log)
        for entry in started.values():
            _wait_until_ready(entry)
        yield started
    finally:
        for entry in started.values():
            entry.process.terminate()
        for entry in started.values():
            try:
                entry.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                entry.process.kill()
                entry.process.wait(timeout=5)
