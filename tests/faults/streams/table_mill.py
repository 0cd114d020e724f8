"""Handlers of columns for runs that are killed."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc

from gristmill import batch


@batch
def doubled(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Add a column, fail the rows that say so, take a little while."""
    time.sleep(0.1)
    found = rows.append_column("double", pc.multiply(rows["id"], 2))
    bad = pc.equal(rows["note"], "bad")
    if not pc.any(bad).as_py():
        return found
    return found.append_column("_error", pc.if_else(bad, "it is one of those", None))
