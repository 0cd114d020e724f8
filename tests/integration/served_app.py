"""What the integration tests serve: each handler shows one behaviour."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import resource
import threading
from pathlib import Path
from typing import Any

import msgspec
import pydantic

from gristmill import App, Failed, batch
from gristmill.http.settings import HttpLimits

released = asyncio.Event()


class Text(msgspec.Struct):
    text: str


class Model(pydantic.BaseModel):
    text: str
    weight: float = 1.0


@batch(name="echo", max_size=100)
async def echo(items: list[Text]) -> list[Text]:
    """Return each item."""
    return items


@batch(name="models")
async def models(items: list[Model]) -> list[Model | Failed]:
    return [Failed("no such text", "not_found") if item.text == "missing" else item for item in items]


@batch(name="anything")
async def anything(items: list) -> list:
    return items


@batch(name="raising")
async def raising(items: list[str]) -> list[str]:
    raise ValueError(f"pw={items[0]}")


@batch(name="refusing")
async def refusing(items: list[str]) -> list[str | Failed]:
    return [Failed(f"about {code}", code, retryable=code.startswith("try")) for code in items]


@batch(name="careless")
async def careless(items: list[str]) -> list[Any]:
    if "short" in items:
        return ["one too few"] * (len(items) - 1)
    return [{"nan": [math.nan], "object": object(), "lone": "\ud800"}.get(item, item) for item in items]


@batch(name="lingering", max_wait=1.5)
async def lingering(items: list[str]) -> list[list[str]]:
    return [items] * len(items)


@batch(name="patient", max_wait=3600.0)
async def patient(items: list[str]) -> list[str]:
    return items


@batch(name="stuck", max_size=1, max_pending=3, timeout=None)
async def stuck(items: list[int]) -> list[int]:
    await released.wait()
    return items


@batch(name="deaf", timeout=None)
async def deaf(items: list[int]) -> list[int]:
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@batch(name="threaded", timeout=None)
async def threaded(items: list[int]) -> list[int]:
    await asyncio.to_thread(threading.Event().wait)
    return items


@batch(name="blocking", timeout=None)
async def blocking(items: list[str]) -> list[str]:
    Path(items[0]).touch()  # noqa: ASYNC240 - to block is what it is for
    threading.Event().wait()
    return items


@batch(name="release")
async def release(items: list[None]) -> list[None]:
    released.set()
    return items


@batch(name="heavy", max_weight=10, weigh=len)
async def heavy(items: list[str]) -> list[str]:
    return items


@batch(name="peak_memory")
async def peak_memory(items: list[None]) -> list[int]:
    """Return the most memory the process ever had, in bytes."""
    return [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024] * len(items)


HANDLERS = [
    *(echo, models, anything, raising, refusing, careless, lingering, patient, stuck, release, heavy),
    peak_memory,
]
ordinary = App(
    handlers=HANDLERS,
    title="Contract",
    statuses={"teapot": 418},
    store="memory://",
    files=os.environ.get("SERVED_FILES"),
)
unending = App(handlers=[deaf, threaded, blocking], store=None)
brisk = App(
    handlers=[echo],
    prefix="/brisk",
    limits=HttpLimits(body_timeout=1.0, idle_timeout=1.0, strict_keys=True, job_items=3),
    store="memory://",
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve paths below /brisk by the App with short limits, all others by the ordinary one."""
    chosen = brisk if scope["type"] == "http" and scope["path"].startswith("/brisk/") else ordinary
    await chosen(scope, receive, send)
