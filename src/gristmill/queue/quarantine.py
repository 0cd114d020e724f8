"""Suspects run alone in their worker, so that a death of it tells which item it was."""

from __future__ import annotations

import asyncio

PATIENCE = 30.0
"""Seconds that a suspect waits to be alone; then it runs beside others, which may be waiting for it."""


class Quarantine:
    """Lets the claims of one worker run together, and a suspect only with no other.

    A suspect is a claim of items with which a worker has died before. If its
    process dies again while other claims are held in it, run or waiting to be
    settled, they would be blamed too, and an innocent item that is unlucky
    often enough would be dead. So whoever holds a suspect waits until it is
    alone, and nobody claims meanwhile.

    Each ``enter`` is answered by one ``leave``; between them a claim may be held.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._held = 0
        self._suspect: object = None
        self._alone: asyncio.Future[None] | None = None
        self._open: list[asyncio.Future[None]] = []

    async def enter(self) -> None:
        """Wait until nobody holds a suspect."""
        while self._suspect is not None:
            opened = asyncio.get_running_loop().create_future()
            self._open.append(opened)
            await opened
        self._held += 1

    async def isolate(self, suspect: object) -> bool:
        """Wait until nothing but *suspect* is held; False if another suspect is: give this one back."""
        if self._suspect is not None:
            return False
        self._suspect = suspect
        if self._held > 1:
            self._alone = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._alone], timeout=self._patience)
        return True

    def leave(self, claim: object = None) -> None:
        """Say that *claim* is held no more; None if nothing was claimed."""
        self._held -= 1
        if claim is not None and claim is self._suspect:
            self._suspect = self._alone = None
            opened, self._open = self._open, []
            for each in opened:
                if not each.done():
                    each.set_result(None)
        elif self._held == 1 and self._alone is not None and not self._alone.done():
            self._alone.set_result(None)
