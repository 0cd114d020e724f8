"""What a database URL says: which database, and which table of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from gristmill.databases.names import TableName, table_name
from gristmill.errors import ConfigurationError

Kind: TypeAlias = Literal["postgresql", "sqlite"]

_KINDS: dict[str, Kind] = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
_SQLITE = "sqlite:///"
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a database is, and maybe a table in it.

    Attributes:
        kind: Which database.
        target: For the driver: the URL with its password, or the path of the file.
        shown: The URL as it may be shown and stored: without a password, and without the table.
        table: The one after ``#``.
    """

    kind: Kind
    target: str = field(repr=False)
    shown: str
    table: TableName | None = None


def is_database(text: str) -> bool:
    """Tell whether *text* is the URL of a database, and not a path."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme in _KINDS


def address_of(url: str) -> Address:
    """Return what *url* says.

    ``postgresql://user@host:5432/database#people``, ``...#sales.people``,
    ``sqlite:///relative.db#people``, ``sqlite:////absolute.db#people``; a
    name with dots or odd characters stands in double quotes.

    Raises:
        ConfigurationError: It is no such URL. The message has no password.
    """
    base, _, fragment = url.partition("#") if not url.startswith(_SQLITE) else url.rpartition("#")
    if not base:  # a file without a table
        base, fragment = url, ""
    table = table_name(unquote(fragment)) if fragment else None
    kind = _KINDS[url.partition("://")[0]]
    if kind == "sqlite":
        path = base.removeprefix(_SQLITE)
        if not base.startswith(_SQLITE) or not path.strip() or path.startswith(":memory:"):
            raise ConfigurationError(
                f"a SQLite database is sqlite:///relative.db or sqlite:////absolute.db, not {url!r}"
            )
        return Address(kind=kind, target=str(Path(path).absolute()), shown=base, table=table)
    try:
        parts = urlsplit(base)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        for netloc in parts.netloc.rpartition("@")[2].split(","):
            urlsplit(f"//{netloc}").port  # noqa: B018 - raises for a port that is none
    except ValueError as error:
        raise ConfigurationError(f"a PostgreSQL URL that cannot be read: {error}") from None
    return Address(kind=kind, target=base, shown=_without_password(base, options), table=table)


def _without_password(url: str, options: list[tuple[str, str]]) -> str:
    before, question, query = url.partition("?")
    scheme, _, rest = before.partition("://")
    user, at, place = rest.rpartition("@")
    shown = f"{scheme}://{user.partition(':')[0]}{at}{place}"
    if not any(name == "password" for name, _ in options):
        return shown + question + query
    safe = [(name, _HIDDEN if name == "password" else value) for name, value in options]
    return f"{shown}?{urlencode(safe, quote_via=quote, safe='/:*')}"
