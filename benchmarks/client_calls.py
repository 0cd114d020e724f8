"""One caller of a server in a process of its own: 10,000 calls by one of the subjects, or a long stream."""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from gristmill import Client
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport

AT_ONCE = 64
TRANSPORTS: dict[str, Callable[[], Any]] = {"aiohttp": AiohttpTransport, "httpx2": Httpx2Transport}


Took = tuple[float, float]
"""Seconds, and seconds of CPU time of this process."""


def now() -> Took:
    """Start the clock, once the garbage of the start is collected, as Node's subject does."""
    gc.collect()
    return time.perf_counter(), time.process_time()


def since(began: Took) -> Took:
    return time.perf_counter() - began[0], time.process_time() - began[1]


def user(number: int) -> dict[str, str]:
    return {"name": f"Person {number}", "email": f"p{number}@example.org"}


def check(found: list[Any], calls: int) -> None:
    """See that every call got the answer to its own item."""
    assert [each["email"] for each in found] == [user(number)["email"] for number in range(calls)]


def client_of(url: str, transport: str) -> Client:
    return Client(url, transport=TRANSPORTS[transport](), timeout=300.0)


async def coalesced(url: str, calls: int, transport: str, size: int = 1000, slots: int = 4) -> Took:
    async with client_of(url, transport) as client:
        users = client.handler("users", max_size=size, concurrency=slots)
        await users(user(0))
        items = [user(number) for number in range(calls)]
        began = now()
        found = await asyncio.gather(*map(users, items))
        took = since(began)
    check(found, calls)
    return took


async def posted(calls: int, post: Callable[[Any], Awaitable[Any]], at_once: int) -> Took:
    await post(user(0))
    items = [user(number) for number in range(calls)]
    slots = asyncio.Semaphore(at_once)

    async def one(item: Any) -> Any:
        async with slots:
            return await post(item)

    began = now()
    found = await asyncio.gather(*map(one, items))
    took = since(began)
    check(found, calls)
    return took


async def by_httpx2(url: str, calls: int, at_once: int) -> Took:
    import httpx2  # noqa: PLC0415 - only this subject's

    async with httpx2.AsyncClient(timeout=300.0) as client:

        async def post(item: Any) -> Any:
            answer = await client.post(f"{url}/v1/users", json=item)
            answer.raise_for_status()
            return answer.json()

        return await posted(calls, post, at_once)


async def by_aiohttp(url: str, calls: int, at_once: int) -> Took:
    import aiohttp  # noqa: PLC0415 - only this subject's

    async with aiohttp.ClientSession() as session:

        async def post(item: Any) -> Any:
            async with session.post(f"{url}/v1/users", json=item) as answer:
                answer.raise_for_status()
                return await answer.json()

        return await posted(calls, post, at_once)


async def streamed(url: str, calls: int, transport: str) -> dict[str, float]:
    """Push *calls* items of a generator through ``map``, and look at the memory on the way."""
    seen: dict[str, float] = {}
    async with client_of(url, transport) as client:
        began = time.perf_counter()
        source = ({"name": "Ada", "email": "ada@example.org"} for _ in range(calls))
        count = itertools.count(1)
        async for outcome in client.handler("users").map(source):
            number = next(count)
            assert outcome.ok
            if number in (calls // 10, calls):
                gc.collect()
                seen[f"rss at {number}"] = resident()
        seen["seconds"] = time.perf_counter() - began
    seen["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return seen


def resident() -> float:
    """Return the resident memory now, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


async def measured(subject: str, url: str, calls: int) -> dict[str, float]:
    kind, _, transport = subject.partition(" ")
    if kind == "map":
        return await streamed(url, calls, transport)
    if kind == "coalesced":
        took = await coalesced(url, calls, transport)
    elif kind == "small":
        took = await coalesced(url, calls, transport, size=10, slots=32)
    else:
        at_once = calls if kind == "gather" else AT_ONCE
        took = await (by_httpx2 if transport == "httpx2" else by_aiohttp)(url, calls, at_once)
    seconds, cpu = took
    return {"rate": calls / seconds, "cpu_us": cpu / calls * 1e6}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subject")
    parser.add_argument("url")
    parser.add_argument("calls", type=int)
    chosen = parser.parse_args()
    print(json.dumps(uvloop.run(measured(chosen.subject, chosen.url, chosen.calls))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
