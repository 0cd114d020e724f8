"""What cannot be sent is told when the client is made."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill import BatchClient, Client
from gristmill.client.addresses import checked_headers, split_address
from gristmill.errors import ConfigurationError

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
