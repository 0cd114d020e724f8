"""Clients of the served App: over both transports to a real server, and in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.integration import served_app
from tests.integration.conftest import Server, running

from gristmill import App, Client
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport
from gristmill.client.transports.to_asgi import ASGITransport


@pytest.fixture(scope="session")
def uvicorn_server() -> Iterator[Server]:
    """One server for all tests of this folder."""
    with running("uvicorn") as server:
        yield server


@pytest.fixture(params=["aiohttp", "httpx2", "in process"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    if request.param == "in process":
        app = App(handlers=served_app.HANDLERS, store="memory://")
        made = Client("http://test", transport=ASGITransport(app))
    else:
        transport: Any = AiohttpTransport() if request.param == "aiohttp" else Httpx2Transport()
        port = request.getfixturevalue("uvicorn_server").port
        made = Client(f"http://127.0.0.1:{port}", transport=transport)
    async with made:
        yield made
