"""Handlers for runs over hard inputs."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gristmill import Failed, batch
from gristmill.errors import EndRun


@batch(max_size=50)
def same(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return what comes."""
    return rows


@batch(max_size=50)
def anything(rows: list[Any]) -> list[Any]:
    """Return what comes, whatever it is."""
    return rows


@batch(max_size=50)
def odd(rows: list[dict[str, Any]]) -> list[dict[str, Any] | Failed]:
    """Fail the rows with an even id."""
    return [row if int(row["id"]) % 2 else Failed("even", "even") for row in rows]


@batch(max_size=50)
def poisoned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Raise where a row is poison."""
    if any(row["text"] == "poison" for row in rows):
        raise ValueError("poison")
    return rows


class Counts(msgspec.Struct):
    """A row of a table with a map."""

    map: dict[str, int] | None


@batch(max_size=50)
def counted(rows: list[Counts]) -> list[dict[str, int]]:
    """Count the entries of a map."""
    return [{"n": len(row.map or {})} for row in rows]


class Order(msgspec.Struct):
    """A typed row."""

    id: int
    price: float
    note: str | None = None


@batch(max_size=50)
def priced(orders: list[Order]) -> list[dict[str, Any]]:
    """Double a price."""
    return [{"id": order.id, "double": 2 * order.price, "note": order.note} for order in orders]


@dataclass
class Sum:
    """A result type whose columns are known without a row."""

    id: int
    total: float


@batch(max_size=50)
def summed(rows: list[dict[str, str]]) -> list[Sum]:
    """Return objects."""
    return [Sum(int(row["id"]), 0.5) for row in rows]


@batch(max_size=20)
def deadly(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Die at the rows that say how."""
    for row in rows:
        if row["text"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if row["text"] == "exit":
            os._exit(0)
        if row["text"] == "segfault":
            ctypes.string_at(0)
    return rows


@batch(max_size=4, timeout=0.3)
def hanging(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Never return from the rows that say so."""
    if any(row["text"] == "hang" for row in rows):
        signal.pause()
    return rows


@batch(max_size=5)
def gated(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Say that a batch has begun, and wait until the file ``gate`` is there."""
    Path(f"begun-{rows[0]['id']}").touch()
    while not Path("gate").exists():
        time.sleep(0.005)
    return rows


@batch(max_size=50)
def loud(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Print."""
    print("something is printed")  # noqa: T201 - which must not get among the results
    return rows


@batch(max_size=8)
def exiting(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """End the process, as a library may, at the rows that say so."""
    if any(row["text"] == "exit" for row in rows):
        sys.exit(5)
    return rows


class Panic(BaseException):
    """What libraries in other languages raise."""


@batch(max_size=8)
def panicking(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Raise what is no ``Exception``."""
    if any(row["text"] == "exit" for row in rows):
        raise Panic("index out of bounds")
    return rows


@batch(max_size=8, concurrency=3)
async def ending(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """End the run, with others in flight."""
    await asyncio.sleep(0)
    if any(row["text"] == "exit" for row in rows):
        raise EndRun("the licence server is away")
    return rows


@batch(max_size=8)
async def exiting_later(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Do as ``exiting``, with others in flight."""
    await asyncio.sleep(0)
    if any(row["text"] == "exit" for row in rows):
        sys.exit(5)
    return rows
