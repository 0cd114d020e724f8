"""What every test folder needs."""

from __future__ import annotations

import asyncio


def pytest_configure() -> None:
    """Say that no event loop is wanted outside of tests that are coroutines.

    Else the first look for one, by a plugin at a synchronous test, makes one that nobody closes, and its
    ResourceWarning fails whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)
