"""Where a client points, and what it cannot do."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from gristmill import BatchClient, Client
from gristmill.client.client import base_of
from gristmill.client.transports.choice import default_transport
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import ConfigurationError, RequestRefused


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://h", "http://h/v1"),
        ("http://h:8000/", "http://h:8000/v1"),
        ("https://h/v1", "https://h/v1"),
        ("https://h/api/v2/", "https://h/api/v2"),
    ],
)
def test_a_server_is_its_address_or_its_prefix(url: str, base: str) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize("url", ["h:8000", "ftp://h", "http://", "", "http://h/v1?x=1", "http://[h"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http://host:8000"):
        Client(url)


def test_an_endpoint_is_a_url() -> None:
    with pytest.raises(ConfigurationError, match="https://host/path"):
        BatchClient("api.example.com/users")


def test_the_name_of_a_handler_is_one_part_of_the_path(script: Any) -> None:
    client = Client("http://h", transport=ASGITransport(script(lambda _: None)))
    assert client.handler("../jobs").url == "http://h/v1/..%2Fjobs"


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> Any:
        known = name not in ("aiohttp", "httpx2") or name in names
        return real(name, package) if known else None

    monkeypatch.setattr("gristmill.client.transports.choice.find_spec", found)


def test_the_transport_that_costs_least_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "aiohttp", "httpx2")
    assert isinstance(default_transport(), AiohttpTransport)
    installed(monkeypatch, "httpx2")
    assert isinstance(default_transport(), Httpx2Transport)


def test_without_any_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"gristmill\[client\]"):
        Client("http://h")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "30", True])
def test_a_timeout_is_seconds(timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="seconds above 0"):
        Client("http://h", timeout=timeout)


def test_an_option_that_there_is_not_is_told() -> None:
    client = Client("http://h")
    wrong: dict[str, Any] = {"max_sise": 10}
    with pytest.raises(ConfigurationError, match="'max_sise'; there are concurrency, "):
        client.handler("users", **wrong)


async def test_a_job_for_a_handler_that_there_is_not(script: Any, said: Any, told_problem: Any) -> None:
    server = script(lambda _: said(told_problem("not_found", detail="there is no handler 'users'"), 404))
    async with Client("http://h", transport=ASGITransport(server)) as client:
        with pytest.raises(RequestRefused, match="no handler 'users'"):
            await client.handler("users").enqueue([1])
