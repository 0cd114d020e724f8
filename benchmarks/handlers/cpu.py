"""Work that only a processor can do, in turns of a loop that are counted and not timed."""

import os
import signal
from typing import Any

from gristmill import batch

Row = dict[str, Any]


def spin(turns: int) -> int:
    value = 0
    for turn in range(turns):
        value = (value * 31 + turn) & 0xFFFF
    return value


def spin_row(row: Row) -> Row:
    """Answer one row; a row that is poison takes the process with it, as a fault in a C library does."""
    if row.get("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": row["id"], "value": spin(row["turns"])}


def spin_rows(rows: list[Row]) -> list[Row]:
    return [spin_row(row) for row in rows]


spin_all = batch(max_size=100, name="spin_all")(spin_rows)
