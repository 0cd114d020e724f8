"""Handlers of runs that are killed: they double a number, fail some rows, and take a little while."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gristmill import Failed, batch

BAD = 97
"""Every so many rows one fails."""
_PAUSE = 80e-6
"""Seconds a row takes, so that a run has many commits."""


@batch(max_size=50)
def rows(items: list[dict[str, Any]]) -> list[dict[str, Any] | Failed]:
    time.sleep(_PAUSE * len(items))
    return [
        Failed("it is one of those", "bad")
        if int(item["id"]) % BAD == 0
        else {"id": int(item["id"]), "text": item["text"], "double": 2 * int(item["id"])}
        for item in items
    ]


@batch
def columns(table: pa.RecordBatch) -> pa.RecordBatch:
    time.sleep(_PAUSE * table.num_rows)
    ids = table["id"]
    quotients = pc.divide(ids, BAD)
    is_bad = pc.equal(ids, pc.multiply(quotients, BAD))
    return (
        table.append_column("double", pc.multiply(ids, 2))
        .append_column("_error", pc.if_else(is_bad, "it is one of those", None))
        .append_column("_code", pc.if_else(is_bad, "bad", None))
    )


@batch(max_size=50)
def none(items: list[dict[str, Any]]) -> list[dict[str, Any] | Failed]:
    """Fail all rows, which makes an input of dead letters."""
    return [Failed("not yet", "early") for _ in items]


@batch(max_size=50)
def few(items: list[dict[str, Any]]) -> list[dict[str, Any] | Failed]:
    """Let one row of three pass, so that dead letters are most of what is written."""
    time.sleep(_PAUSE * len(items))
    return [
        Failed("it is most of them", "bad")
        if int(item["id"]) % 3
        else {"id": int(item["id"]), "text": item["text"], "double": 2 * int(item["id"])}
        for item in items
    ]
