"""Requests of a client know nothing of each other."""

from __future__ import annotations

import asyncio
from typing import Any

from gristmill import BatchClient


async def test_no_cookie_is_kept(transport: Any) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append((await reader.readuntil(b"\r\n\r\n")).lower())
            await reader.readexactly(3)
            writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: who=ada; Path=/\r\ncontent-length: 3\r\n\r\n[1]")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, BatchClient(f"http://127.0.0.1:{port}/all", transport=transport()) as all_of:
        assert [await all_of(1), await all_of(1)] == [1, 1]
    assert [b"cookie" in head for head in heads] == [False, False]
