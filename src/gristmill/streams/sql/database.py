"""What a sink asks of a database; ``postgres`` and ``sqlite`` answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from gristmill.streams.chunk import Refusal
from gristmill.streams.sinks.protocol import EncoderRecipe
from gristmill.streams.sql.ledger import Entry
from gristmill.streams.sql.parts import Part

OnConflict: TypeAlias = Literal["error", "ignore", "update"]


class Away(Exception):
    """The database is away, or has undone the transaction through no fault of its rows: try it again.

    ``__cause__`` is what it said.
    """


class Database(Protocol):
    """One connection, one table, and at most one transaction. Used from one thread."""

    commit_seconds: float
    """See ``Sink``."""

    def connect(self) -> None:
        """Connect, if not connected.

        Raises:
            Away: It cannot be reached.
            SinkError: It does not let us in.
        """

    def prepare(self) -> None:
        """Look at the table, and make what is not there: the ledger, and the table if that was asked for.

        Raises:
            ConfigurationError: There is no such table, or it is not fit.
        """

    def recipe(self) -> EncoderRecipe:
        """Return what encodes results in workers; call ``prepare`` first."""

    def entry(self, job: str) -> Entry | None:
        """Return what the ledger says of *job*, outside of a transaction."""

    def claim(self, job: str, entry: Entry, *, reset: bool) -> Entry:
        """Make the run ours, by the next epoch.

        Args:
            job: Its key.
            entry: What to write if the ledger has nothing of it.
            reset: Whether to write the identity and the checkpoint of *entry* over what it has.

        Returns:
            What the ledger has now.
        """

    def begin(self) -> None:
        """Begin a transaction."""

    def insert(self, parts: Sequence[Part], refused: frozenset[int]) -> Mapping[int, Refusal]:
        """Write the rows of a chunk.

        Args:
            parts: The rows.
            refused: Indices of results that are left out.

        Returns:
            index -> why, of rows that cannot be written; if there are any, nothing was written.
        """

    def roll_back(self) -> None:
        """End the transaction; nothing of it is left."""

    def settle(self, job: str, entry: Entry) -> bool:
        """Write *entry* if the ledger has the commit before it, of the same epoch, and commit.

        Returns:
            Whether it had; otherwise nothing of the transaction is left.
        """

    def abandon(self) -> None:
        """Let go of the connection, and of its transaction. Idempotent, raises nothing."""
