"""Settling, in a transaction of its own or in that of a handler."""

from __future__ import annotations

from typing import Any

from gristmill.model.lease import Settled, Settlement
from gristmill.queue.postgres.columns import settlement_columns
from gristmill.queue.postgres.connections import Session


def settle_values(settlement: Settlement) -> tuple[Any, ...]:
    """Return the values of ``settle.sql``."""
    return (settlement.lease, *settlement_columns(settlement))


class OpenTransaction:
    """A transaction that holds a lease, for a handler.

    Attributes:
        connection: asyncpg's.
        wakes: The queue in which there may be something to claim once it is committed, or None.
    """

    def __init__(self, session: Session) -> None:
        self.connection: Any = session.connection
        self.wakes: str | None = None
        self._session = session

    async def settle(self, settlement: Settlement) -> Settled:
        """Record *settlement* in this transaction; it counts with the commit."""
        row = await self._session.row("settle", *settle_values(settlement))
        self.wakes = self.wakes or row["wakes"]
        return Settled(row["outcome"])
