"""What a database URL says: which database, and which table of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from gristmill.errors import ConfigurationError

Kind: TypeAlias = Literal["postgresql", "sqlite"]

_KINDS: dict[str, Kind] = {"postgresql": "postgresql", "postgres": "postgresql", "sqlite": "sqlite"}
_SQLITE = "sqlite:///"
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """The name of a table, as the database stores it: case matters, quotes are not part of it.

    Attributes:
        schema: None: where the connection looks for tables by itself.
        table: The name.
    """

    schema: str | None = None
    table: str

    @property
    def quoted(self) -> str:
        """The name as SQL takes it."""
        table = quoted(self.table)
        return table if self.schema is None else f"{quoted(self.schema)}.{table}"

    @property
    def shown(self) -> str:
        """The name for people, in the form ``table_name`` takes."""
        return ".".join(_shown_part(part) for part in (self.schema, self.table) if part is not None)


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


def table_name(text: str) -> TableName:
    """Return the table that *text* names: ``people``, ``sales.people`` or ``sales."People 2024"``.

    Raises:
        ConfigurationError: It names none.
    """
    parts: list[str] = []
    rest = text.strip()
    while rest:
        if rest.startswith('"'):
            part, rest = _quoted_part(rest, text)
        else:
            part, dot, after = rest.partition(".")
            rest = dot + after
        if not part:
            break
        parts.append(part)
        if not rest:
            return _named(parts, text)
        if not rest.startswith("."):
            break
        rest = rest[1:]
    raise ConfigurationError(f'a table is named people, schema.people or schema."Odd name", not {text!r}')


def _quoted_part(rest: str, text: str) -> tuple[str, str]:
    end = rest.find('"', 1)
    while end >= 0 and rest[end + 1 : end + 2] == '"':
        end = rest.find('"', end + 2)
    if end < 0:
        raise ConfigurationError(f"the quote in the table name {text!r} has no end")
    return rest[1:end].replace('""', '"'), rest[end + 1 :]


def _named(parts: list[str], text: str) -> TableName:
    if len(parts) == 1:
        return TableName(table=parts[0])
    if len(parts) == 2:  # noqa: PLR2004 - schema and table
        return TableName(schema=parts[0], table=parts[1])
    raise ConfigurationError(f"a table is named people or schema.people, not {text!r}")


def _shown_part(part: str) -> str:
    return quoted(part) if any(each in part for each in '."') or part != part.strip() else part


def quoted(name: str) -> str:
    """Return *name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
