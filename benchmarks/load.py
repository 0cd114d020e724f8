"""The load generator of a run: `wrk` when it is on the path, else our own; the same for all peers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Sample

SCRIPT = Path(__file__).parent / "wrk.lua"


def generator_name() -> str:
    return "wrk (1 thread)" if shutil.which("wrk") else "benchmarks.generator (1 process)"


class LoadFailed(RuntimeError):
    """The load did not run cleanly: refused connections, timeouts or a status that is not 2xx."""


def post(url: str, body: bytes, *, connections: int, seconds: float) -> Sample:
    """POST `body` over `connections` keep-alive connections for `seconds`.

    Returns `rate` (answers a second), `answers`, `p50` and `p99` (milliseconds).
    """
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(body)
        file.flush()
        if shutil.which("wrk"):
            found = _wrk(url, file.name, connections, seconds)
        else:
            found = _generator(url, file.name, connections, seconds)
    problems = {name: count for name, count in found.pop("errors").items() if count}
    if problems:
        raise LoadFailed(f"{url} at {connections} connections: {problems} beside {found}")
    return found


def _wrk(url: str, body_file: str, connections: int, seconds: float) -> dict:
    # wrk takes whole seconds only; shorter runs are for --quick and round up.
    duration = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}s", "--timeout", "10s", "-s", str(SCRIPT), url]
    environment = {**os.environ, "BODY_FILE": body_file}
    done = subprocess.run(
        command, env=environment, timeout=duration + 30, check=True, capture_output=True, text=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


def _generator(url: str, body_file: str, connections: int, seconds: float) -> dict:
    command = [sys.executable, "-m", "benchmarks.generator", url, body_file]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, timeout=seconds + 30, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
