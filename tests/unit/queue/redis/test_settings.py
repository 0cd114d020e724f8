"""What a URL says, and what it keeps to itself."""

from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.queue.redis.settings import settings_from
from gristmill.queue.redis.store import RedisStore
from gristmill.queue.url import store_from


def test_a_url_names_server_database_and_login() -> None:
    connection = settings_from("redis://me:secret@host:7000/3").connection
    assert {name: connection[name] for name in ("host", "port", "db", "username", "password")} == {
        "host": "host",
        "port": 7000,
        "db": 3,
        "username": "me",
        "password": "secret",
    }


def test_options_have_defaults() -> None:
    settings = settings_from("redis://host")
    assert (settings.root, settings.timeout, settings.is_unsafe, settings.waits_for_file) == (
        "{gm}:",
        10.0,
        False,
        False,
    )


def test_options_are_read() -> None:
    settings = settings_from("redis://host/0?prefix=mill&timeout=2.5&wait=aof&unsafe=true")
    assert (settings.root, settings.timeout, settings.is_unsafe, settings.waits_for_file) == (
        "{mill}:",
        2.5,
        True,
        True,
    )


def test_options_of_tls_go_to_the_client() -> None:
    connection = settings_from("rediss://host?ssl_ca_certs=/ca.pem&prefix=mill").connection
    assert connection["ssl_ca_certs"] == "/ca.pem"
    assert connection["connection_class"].__name__ == "SSLConnection"
    assert "prefix" not in connection


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("prefx=gm", "takes the options prefix, timeout, unsafe, wait, not 'prefx'"),
        ("password=secret", "not 'password'"),
        ("ssl_ca_certs=x", "not 'ssl_ca_certs'"),
        ("prefix=", "prefix is one character or more"),
        ("prefix={a}", "without braces"),
        ("unsafe=yes", "unsafe is true or false, not 'yes'"),
        ("wait=replica", "wait is aof, or left out"),
        ("timeout=0", "timeout is a number of seconds above 0"),
        ("timeout=soon", "not 'soon'"),
        ("timeout=inf", "not 'inf'"),
    ],
)
def test_what_an_option_cannot_be_is_told(query: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as caught:
        settings_from(f"redis://me:secret@host/0?{query}")
    assert "secret" not in str(caught.value)


def test_a_url_that_cannot_be_read_is_told_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="not the URL of a redis store") as caught:
        settings_from("redis://me:secret@host:port/0")
    assert "secret" not in str(caught.value)


def test_a_store_does_not_show_its_password() -> None:
    store = store_from("redis://me:secret@host:7000/3?prefix=mill")
    assert isinstance(store, RedisStore)
    shown = (store.url, repr(store), repr(store.twin()), repr(settings_from("redis://me:secret@host")))
    assert not any("secret" in text for text in shown)
    assert store.url == "redis://me:***@host:7000/3?prefix=mill"


@pytest.mark.parametrize("path", ["", "/", "/0", "/15"])
def test_the_path_is_the_number_of_a_database(path: str) -> None:
    assert settings_from(f"redis://127.0.0.1{path}").connection.get("db", 0) == int(path[1:] or 0)


@pytest.mark.parametrize("path", ["/x", "/0/1", "/-1", "/1.5"])
def test_another_path_is_refused_and_not_taken_for_the_first_database(path: str) -> None:
    with pytest.raises(
        ConfigurationError, match="does not end with the number of a database: redis://host:port/0"
    ):
        settings_from(f"redis://127.0.0.1{path}")
