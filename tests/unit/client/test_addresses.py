"""What cannot be sent is told when the client is made."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill import BatchClient, Client
from gristmill.client.addresses import checked_headers, split_address, without_login
from gristmill.client.transports.to_asgi import ASGITransport
from gristmill.errors import ConfigurationError, RequestRefused

BAD_URLS = [
    "", "http://", "localhost:8000", "ftp://host", "http://a b", "http://ho\tst", "http://host\n", "http://[::1",
    "http://host:99999", "http://host:x", "http://host:0", "http://" + "a" * 70 + ".example", "http://a..b",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_what_is_no_address(url: str) -> None:
    assert split_address(url) is None
    with pytest.raises(ConfigurationError, match="is given as"):
        Client(url)
    with pytest.raises(ConfigurationError, match="is given as"):
        BatchClient(url)


@pytest.mark.parametrize(
    "url",
    ["http://host", "https://host:8443/a/v1/", "http://[::1]:80", "http://m\u00fcnchen.de", "http://a_b:1"],
)
def test_what_is_one(url: str) -> None:
    assert split_address(url) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b", "1"),
        ("a:", "1"),
        ("", "1"),
        ("a", "x\r\nb: y"),
        ("a", "\u20ac"),
        ("a", "\0"),
        ("a", 1),
        (1, "a"),
    ],
)
def test_headers_that_no_request_can_have(name: Any, value: Any) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        Client("http://host", headers={name: value})


def test_a_secret_is_not_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_headers({"Authorization": "Bearer s3cret\n"})
    assert "s3cret" not in str(caught.value)
    assert checked_headers({"Authorization": "Bearer s3cret"}) == {"authorization": "Bearer s3cret"}


def test_requests_do_not_share_a_key() -> None:
    with pytest.raises(ConfigurationError, match="a key of its own"):
        BatchClient("http://host/all", headers={"Idempotency-Key": "one"})


@pytest.mark.parametrize(
    ("url", "plain", "basic"),
    [
        ("https://ada:s3cret@host:1/v1", "https://host:1/v1", "YWRhOnMzY3JldA=="),
        ("http://ada@host", "http://host", "YWRhOg=="),
        ("http://a%40b:s%3A3@host", "http://host", "YUBiOnM6Mw=="),
    ],
)
async def test_a_password_in_the_address_is_sent_and_not_shown(
    script: Any, said: Any, url: str, plain: str, basic: str
) -> None:
    assert without_login(url) == (plain, {"authorization": f"Basic {basic}"})
    server = script(lambda _: said(b"", 401))
    async with Client(url, transport=ASGITransport(server)) as client:
        with pytest.raises(RequestRefused) as caught:
            await client.handler("users")(1)
        assert "s3" not in f"{client!r} {client.handler('users')!r} {caught.value}"
    async with BatchClient(url, transport=ASGITransport(server)) as all_of:
        with pytest.raises(RequestRefused):
            await all_of(1)
        assert "s3" not in repr(all_of)
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Basic {basic}"}


async def test_a_header_goes_before_the_login_in_the_address(script: Any, said: Any) -> None:
    server = script(lambda _: said(b"", 401))
    own = {"Authorization": "Bearer own"}
    async with BatchClient("http://a:b@host", headers=own, transport=ASGITransport(server)) as all_of:
        with pytest.raises(RequestRefused):
            await all_of(1)
    assert server.seen[0].headers["authorization"] == "Bearer own"
