"""What a PostgreSQL URL says."""

from __future__ import annotations

import pytest

from gristmill.errors import ConfigurationError
from gristmill.queue.postgres.address import address_of
from gristmill.queue.postgres.store import PostgresStore


def test_what_is_ours_is_taken_out_of_the_url_and_the_rest_is_kept() -> None:
    found = address_of("postgresql://me@host:1/db?schema=mine&sslmode=require&pgbouncer=true")
    assert found.dsn == "postgresql://me@host:1/db?sslmode=require"
    assert (found.schema, found.is_pooled) == ("mine", True)


def test_a_plain_url_is_left_as_it_is() -> None:
    found = address_of("postgres://me:secret@host/db")
    assert found.dsn == "postgres://me:secret@host/db"
    assert (found.schema, found.is_pooled) == ("gristmill", False)


def test_a_unix_socket_is_a_host_in_the_query() -> None:
    url = "postgresql:///db?host=/run/postgresql"
    assert (address_of(url).dsn, address_of(url).shown) == (url, url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@host/db",
        "postgresql://host/db?user=me&password=s3cret",
        "postgresql:///db?password=s3cret&host=/run",
        "postgresql://me:s3cret@host/db?schema=mine",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    store = PostgresStore(url)
    for shown in (store.url, repr(store), repr(address_of(url)), str(address_of(url))):
        assert "s3cret" not in shown
    assert "***" in store.url
    assert "s3cret" in address_of(url).dsn


@pytest.mark.parametrize("schema", ["", "Mine", "1st", "a-b", 'a";--', "pg_toast", "a" * 49, "ä"])
def test_a_schema_must_be_a_plain_name(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        address_of(f"postgresql:///db?schema={schema}")


def test_other_mistakes_are_told() -> None:
    with pytest.raises(ConfigurationError, match="pgbouncer"):
        address_of("postgresql:///db?pgbouncer=perhaps")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        address_of("postgresql://host:port/db")


def test_the_name_of_the_application_may_be_given() -> None:
    assert not address_of("postgresql:///db").names_application
    assert address_of("postgresql:///db?application_name=mine").names_application
