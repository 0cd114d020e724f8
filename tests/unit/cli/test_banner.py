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
    assert "  POST /api/echo, also .../batch and .../stream" in lines
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


def test_without_docs_and_handlers_nothing_is_promised() -> None:
    text = banner(App(handlers=[], docs=False), "::1", 80)
    assert "docs" not in text
    assert "curl" not in text
    assert "http://[::1]:80" in text
