"""The document of the client says what is true: its code runs against the App of the README."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
import typer

import gristmill
from gristmill import App, Client, SyncClient, batch
from gristmill import errors as all_errors
from gristmill.cli.commands import app as command
from gristmill.client.handler_options import HandlerOptions
from gristmill.client.jobs.enqueuing import JobOptions
from gristmill.client.transports.to_asgi import ASGITransport

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()


class NewUser(msgspec.Struct):
    name: str
    email: str


class User(msgspec.Struct):
    id: int
    name: str


def example(word: str) -> dict[str, Any]:
    """Return the names of the block that has *word*, run as a module of its own."""
    blocks = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    code = next(block for block in blocks if word in block)
    module = types.ModuleType("gristmill_client_document")
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, "client.md", "exec"), module.__dict__)  # noqa: S102 - our own document
    finally:
        del sys.modules[module.__name__]
    return module.__dict__


@pytest.fixture
def app() -> App:
    @batch(name="users")
    async def users(items: list[NewUser]) -> list[User]:
        return [User(1, item.name) for item in items]

    return App(handlers=[users], store="memory://")


@pytest.fixture
def here(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have clients without a transport call *app*."""
    monkeypatch.setattr("gristmill.client.client.default_transport", lambda: ASGITransport(app))


@pytest.mark.usefixtures("here")
async def test_the_first_example_works() -> None:
    found = await example("async def main")["main"]()
    assert [each["name"] for each in found] == ["Ada", *(f"P{number}" for number in range(1000))]


async def test_the_job_is_done(app: App) -> None:
    upload = example("async def upload")["upload"]
    async with Client("http://test", transport=ASGITransport(app)) as client:
        assert await upload(client, [{"name": "a", "email": "a@x"}, {"name": "b"}]) == 1


@pytest.mark.usefixtures("here")
def test_the_example_without_a_loop_works() -> None:
    assert len(example("import SyncClient")["main"]("http://test")) == 1001


async def test_the_endpoint_of_others_is_called_as_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def geocoder(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        assert (b"authorization", b"Bearer ...") in scope["headers"]
        body = msgspec.json.decode((await receive())["body"])
        results = [{"lat": float(len(place))} for place in body["queries"]]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode({"results": results})})

    monkeypatch.setattr("gristmill.client.batch_client.default_transport", lambda: ASGITransport(geocoder))
    async with example("def geocoder")["geocoder"]("http://maps/all") as geocode:
        assert await geocode("Paris") == {"lat": 5.0}


async def test_the_test_of_the_document_passes(app: App) -> None:
    await example("async def test_users")["test_users"](app)


def test_every_option_is_told() -> None:
    told = set(re.findall(r"`(\w+)`", TEXT))
    assert set(get_type_hints(HandlerOptions)) <= told
    assert set(get_type_hints(JobOptions)) <= told


def test_every_error_of_the_client_is_told() -> None:
    names = [
        name
        for name, kind in vars(all_errors).items()
        if isinstance(kind, type) and issubclass(kind, all_errors.ClientError)
    ]
    assert len(names) == 5
    assert [name for name in names if f"`{name}`" not in TEXT] == []


def test_the_public_names_are_in_the_document() -> None:
    for name in ("Client", "SyncClient", "BatchClient", "RetryBudget"):
        assert name in gristmill.__all__
        assert name in TEXT
    assert SyncClient is gristmill.SyncClient


def test_the_options_of_the_command_that_are_told_are_there() -> None:
    found: Any = typer.main.get_command(command)
    options = {option for each in found.get_command(None, "call").params for option in each.opts}
    section = TEXT.partition("## Files: `gristmill call`")[2].partition("\n## ")[0]
    assert set(re.findall(r"(--[a-z-]+)", section)) <= options
