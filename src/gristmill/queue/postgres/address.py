"""What a PostgreSQL URL says: where the server is, in which schema the queue is, what is in between."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from gristmill.errors import ConfigurationError
from gristmill.queue.url import without_password

DEFAULT_SCHEMA = "gristmill"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the queue is.

    Attributes:
        dsn: For asyncpg, password included.
        shown: The URL as it may be logged.
        schema: That holds the tables; safe to stand in SQL unquoted.
        is_pooled: Whether PgBouncer is in between, in transaction mode: each transaction may run in another
            session, so nothing may be prepared, listened to or set for a session.
    """

    dsn: str = field(repr=False)
    shown: str
    schema: str = DEFAULT_SCHEMA
    is_pooled: bool = False

    @property
    def channel(self) -> str:
        """Where processes tell each other that there is something to claim."""
        return f"{self.schema}_ready"

    @property
    def names_application(self) -> bool:
        """Whether the URL itself says what the server's list of sessions is to show."""
        return "application_name" in dict(parse_qsl(urlsplit(self.dsn).query))


def address_of(url: str) -> Address:
    """Return what *url* says; ``schema`` and ``pgbouncer`` in its query are ours, the rest is the driver's.

    Raises:
        ConfigurationError: It is no such URL.
    """
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        for netloc in parts.netloc.rpartition("@")[2].split(","):
            urlsplit(f"//{netloc}").port  # noqa: B018 - raises for a port that is none
    except ValueError as error:
        raise ConfigurationError(f"a PostgreSQL URL that cannot be read: {error}") from None
    options = dict(given)
    schema = options.get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigurationError(
            "?schema= is a lower-case name of up to 48 letters, digits and underscores "
            f"that does not begin with a digit or pg_, not {schema!r}"
        )
    is_pooled = _TRUTHS.get(options.get("pgbouncer", "false").lower())
    if is_pooled is None:
        raise ConfigurationError(f"?pgbouncer= is true or false, not {options['pgbouncer']!r}")
    for_driver = [(name, value) for name, value in given if name not in ("schema", "pgbouncer")]
    return Address(
        dsn=_with_query(url, for_driver),
        shown=_shown(url, given),
        schema=schema,
        is_pooled=is_pooled,
    )


def _shown(url: str, given: list[tuple[str, str]]) -> str:
    shown = without_password(url)
    if not any(name == "password" for name, _ in given):
        return shown
    safe = [(name, "***" if name == "password" else value) for name, value in given]
    return _with_query(shown, safe)


def _with_query(url: str, options: list[tuple[str, str]]) -> str:
    before = url.partition("?")[0]
    return f"{before}?{urlencode(options, quote_via=quote, safe='/:*')}" if options else before
