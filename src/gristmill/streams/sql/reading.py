"""What a source asks of a database, and how its rows travel to workers."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from typing import Any, Protocol

_TEXTS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_INNER = re.compile(r"\([^()]*\)")
_ORDER = re.compile(r"\border\s+by\b", re.IGNORECASE)


def has_order(query: str) -> bool:
    """Tell whether *query* says in which order its rows come, by an ORDER BY of its own.

    >>> has_order("SELECT id FROM (SELECT id FROM people ORDER BY id)")
    False
    """
    text = _TEXTS.sub(" ", query)
    while (shorter := _INNER.sub(" ", text)) != text:
        text = shorter
    return _ORDER.search(text) is not None


def dump_rows(rows: Sequence[tuple[Any, ...]]) -> bytes:
    """Return *rows* as the body of a chunk, with their types."""
    return pickle.dumps(rows, protocol=5)


def load_rows(body: bytes) -> list[tuple[Any, ...]]:
    """Return the rows of a body, which our own driver has made."""
    rows: list[tuple[Any, ...]] = pickle.loads(body)  # noqa: S301 - as said
    return rows


class Feed(Protocol):
    """Rows in their order, from some place on."""

    @property
    def key(self) -> str | None:
        """Where to go on after the last row, for ``Reading.feed``; None where only their number tells."""

    def skip(self, count: int) -> None:
        """Pass over *count* rows."""

    def fetch(self, count: int) -> list[tuple[Any, ...]]:
        """Return the next rows; fewer than *count* at the end only."""


class Reading(Protocol):
    """A query, or a table in the order of its key, over one connection."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""

    @property
    def has_keys(self) -> bool:
        """Whether a feed can begin after a key."""

    def open(self) -> int | None:
        """Connect, and look; return about how many rows there are, if anybody knows.

        Raises:
            SourceError: It cannot be read.
        """

    def feed(self, after: str | None) -> Feed:
        """Return the rows after the one with the key *after*; all, if it is None."""

    def close(self) -> None:
        """Let go of the connection. Idempotent."""
