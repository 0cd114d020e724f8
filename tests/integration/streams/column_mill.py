"""Columnar handlers for runs in worker processes."""

from __future__ import annotations

import os
import signal
import sys

import pyarrow as pa
import pyarrow.compute as pc

from gristmill import batch


@batch
def gross(orders: pa.RecordBatch) -> pa.RecordBatch:
    """Add a column that is counted with another."""
    return orders.append_column("gross", pc.round(pc.multiply(orders["amount"], 1.19), 2))


@batch
def same(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return what comes."""
    return rows


@batch
def strict(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Fail each row with an amount below zero."""
    error = pc.if_else(pc.less(rows["amount"], 0), "below zero", None)
    return rows.append_column("_error", error).append_column(
        "_code", pc.if_else(error.is_valid(), "negative", "")
    )


@batch
def poisoned(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Raise where a row is poison."""
    if pc.any(pc.equal(rows["text"], "poison")).as_py():
        raise ValueError("poison")
    return rows


@batch
def deadly(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Kill the process at the row that says so."""
    if pc.any(pc.equal(rows["note"], "kill")).as_py():
        os.kill(os.getpid(), signal.SIGKILL)
    return rows


@batch
def wild(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return another column for the rows from 500 on."""
    if rows["id"][0].as_py() >= 500:
        return rows.append_column("more", rows["id"])
    return rows


@batch
def renamed(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return some columns in another order, one under another name, and one that is counted anew."""
    new = pc.add(rows["amount"], 1)
    return pa.RecordBatch.from_arrays([rows["note"], new, rows["id"]], ["words", "amount", "id"])


@batch
def table(rows: pa.RecordBatch) -> pa.Table:
    """Return what comes, and a column, as a table in parts."""
    half = rows.num_rows // 2
    return pa.Table.from_batches([rows.slice(0, half), rows.slice(half)])


@batch
def turned(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows from the last to the first."""
    return rows.take(pa.array(range(rows.num_rows - 1, -1, -1)))


@batch
def exiting(rows: pa.RecordBatch) -> pa.RecordBatch:
    """End the process, as a library may, at the rows that say so."""
    if "exit" in rows.column("text").to_pylist():
        sys.exit(5)
    return rows
