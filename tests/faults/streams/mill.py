"""Handlers for runs that are killed."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from gristmill import Failed, batch

BAD = 97
"""Every so many rows one fails."""


@batch(max_size=50)
def slow(rows: list[dict[str, str]]) -> list[dict[str, Any] | Failed]:
    """Double a number; fail every 97th row; take a little while."""
    time.sleep(0.004)
    return [
        Failed("it is one of those", "bad")
        if int(row["id"]) % BAD == 0
        else {**row, "double": 2 * int(row["id"])}
        for row in rows
    ]


@batch(max_size=50)
def deadly(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Kill the process at the rows that say so."""
    for row in rows:
        if row["text"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    return rows
