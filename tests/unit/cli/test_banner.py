from __future__ import annotations

import msgspec
import pytest

from gristmill import App, batch
from gristmill.cli.banner import banner


class Text(msgspec.Struct):
    text: str


@batch(name="echo")
async def echo(items: list[Text]) -> list[Text]:
    return items


APP = App(handlers=[echo], prefix="/api")


def test_the_banner_says_where_everything_is_and_how_to_try_it() -> None:
    lines = banner(APP, "127.0.0.1", 8000).splitlines()
    assert lines[0].endswith("serves http://127.0.0.1:8000")
    assert "  POST /api/echo, also .../batch, .../stream and .../jobs" in lines
    assert "  Jobs http://127.0.0.1:8000/api/jobs in sqlite:///gristmill.db, worked here" in lines
    assert "  Docs http://127.0.0.1:8000/docs" in lines
    assert lines[-1] == (
        "  curl http://127.0.0.1:8000/api/echo -H 'Content-Type: application/json' "
        """-d '{"text": "A line of text."}'"""
    )


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 - shown only
        ("::", "[::1]"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_an_open_address_is_shown_reachable_and_warned_about(host: str, shown: str) -> None:
    text = banner(APP, host, 80)
    assert f"http://{shown}:80/api/echo" in text
    assert "no authentication" in text


def test_the_store_is_shown_without_its_password_and_with_who_works_it() -> None:
    app = App(handlers=[echo], store="redis://me:secret@host/0", worker=False)
    assert "/v1/jobs in redis://me:***@host/0, worked by gristmill work" in banner(app, "127.0.0.1", 80)


def test_without_a_store_no_jobs_are_promised() -> None:
    text = banner(App(handlers=[echo], store=None), "127.0.0.1", 80)
    assert "  POST /v1/echo, also .../batch and .../stream\n" in text
    assert "obs" not in text


def test_without_docs_and_handlers_nothing_is_promised() -> None:
    text = banner(App(handlers=[], docs=False), "::1", 80)
    assert "docs" not in text
    assert "curl" not in text
    assert "http://[::1]:80" in text
