"""Names of tables and columns, as people write them and as SQL takes them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gristmill.errors import ConfigurationError

_PLAIN = re.compile(r'[^".\s]+')
_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^".\s]+))\s*(\.|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """The name of a table, as the database stores it: case matters, quotes are no part of it.

    Attributes:
        schema: None: where the connection looks for tables by itself.
        table: The name.
    """

    schema: str | None = None
    table: str

    def quoted(self, quote: str = '"') -> str:
        """Return the name as SQL takes it."""
        table = quoted(self.table, quote)
        return table if self.schema is None else f"{quoted(self.schema, quote)}.{table}"

    def __str__(self) -> str:
        """Return the name for people, in the form ``table_name`` takes."""
        return ".".join(_shown(part) for part in (self.schema, self.table) if part is not None)


def table_name(text: str) -> TableName:
    """Return the table that *text* names: ``users``, ``sales.users`` or ``sales."Users 2024"``.

    Raises:
        ConfigurationError: It names none.
    """
    parts: list[str] = []
    place = 0
    while found := _PART.match(text, place):
        parts.append(found[2] or found[1].replace('""', '"'))
        place = found.end()
        if not found[3]:
            break
    is_whole = found is not None and place == len(text)
    if is_whole and len(parts) == 1:
        return TableName(table=parts[0])
    if is_whole and len(parts) == 2:  # noqa: PLR2004 - schema and table
        return TableName(schema=parts[0], table=parts[1])
    raise ConfigurationError(f'a table is named users, schema.users or schema."Odd name", not {text!r}')


def _shown(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else quoted(part)


def quoted(name: str, quote: str = '"') -> str:
    """Return *name* as an SQL identifier; MySQL's *quote* is the backtick."""
    return quote + name.replace(quote, quote * 2) + quote
