"""What every test folder needs."""

from __future__ import annotations

import asyncio


def pytest_configure() -> None:
    """Say that no loop is wanted here: else the first look for one, by a plugin at a synchronous test, makes
    one that nobody closes, and its ResourceWarning fails whichever test runs at that moment.
    """
    asyncio.set_event_loop(None)
