"""One client on several event loops, and in a child made by fork."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration import served_app

from gristmill import App, Client, SyncClient
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport
from gristmill.client.transports.to_asgi import ASGITransport

TRANSPORTS = pytest.mark.parametrize("transport", [AiohttpTransport, Httpx2Transport])
ALARM = 60
"""Seconds after which a child that hangs is ended."""


def url_of(server: Any) -> str:
    return f"http://127.0.0.1:{server.port}"


RUNS = """
import asyncio, sys
from gristmill import Client
from gristmill.client.transports.over_aiohttp import AiohttpTransport
from gristmill.client.transports.over_httpx2 import Httpx2Transport

client = Client(sys.argv[1], transport=globals()[sys.argv[2]]())
anything = client.handler("anything")


async def one(index):
    return await anything(index)


print([asyncio.run(one(index)) for index in range(3)])
"""


@TRANSPORTS
def test_one_run_after_another(uvicorn_server: Any, transport: type[Any]) -> None:
    # In a process of its own: whoever closes a loop before its connections leaves sockets to the collector.
    command = [sys.executable, "-c", RUNS, url_of(uvicorn_server), transport.__name__]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ALARM, check=False)
    assert done.stdout.strip() == "[0, 1, 2]", done.stderr


def test_an_application_in_this_process_over_several_runs() -> None:
    transport = ASGITransport(App(handlers=served_app.HANDLERS, store="memory://"))
    client = Client("http://test", transport=transport)

    async def one() -> Any:
        return await client.handler("anything")(1)

    assert [asyncio.run(one()) for _ in range(2)] == [1, 1]
    asyncio.run(client.aclose())


@TRANSPORTS
def test_two_loops_at_once(uvicorn_server: Any, transport: Callable[[], Any]) -> None:
    client = Client(url_of(uvicorn_server), transport=transport())
    anything = client.handler("anything")

    async def calls(first: int) -> list[Any]:
        return [await anything(first + index) for index in range(20)]

    async def here(other: asyncio.AbstractEventLoop) -> None:
        there = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(calls(100), other))
        assert await asyncio.gather(calls(0), there) == [list(range(20)), list(range(100, 120))]
        await client.aclose()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(others_done(), other))

    async def others_done() -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run(here(loop))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@TRANSPORTS
def test_a_child_made_by_fork_and_its_parent_go_on(uvicorn_server: Any, transport: Callable[[], Any]) -> None:
    with SyncClient(url_of(uvicorn_server), transport=transport()) as client:
        anything = client.handler("anything")
        assert anything(1) == 1
        child = os.fork()
        if child == 0:
            signal.alarm(ALARM)
            good = [anything(index) for index in range(10)] == list(range(10))
            os._exit(0 if good else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert [anything(index) for index in range(100, 110)] == list(range(100, 110))
