"""A small keep-alive HTTP load generator, and the exact exchange that checks a peer's answers.

`python -m benchmarks.generator URL BODY_FILE --connections N --seconds S` prints one JSON object.
It stands in for wrk where that is missing; it is slower, so all peers of a run use the same one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop


def request_bytes(url: str, body: bytes) -> bytes:
    target = urlsplit(url)
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Exchange(asyncio.Protocol):
    """One connection: sends the next request as soon as the last is answered, until none is left."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Event) -> None:
        self.requests = requests
        self.ended = ended
        self.latencies: list[float] = []
        self.bodies: list[bytes] = []
        self.bad_statuses = 0
        self.lost = 0
        self._body = b""
        self._sent_at = 0.0
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        following = next(self.requests, None)
        if following is None:
            self._waiting = False
            self._transport.close()
            self.ended.set()
            return
        self._body = b""
        self._waiting = True
        self._sent_at = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.latencies.append(time.perf_counter() - self._sent_at)
        self.bodies.append(self._body)
        if self._parser.get_status_code() // 100 != 2:
            self.bad_statuses += 1
        # The parser is still on the stack here: the next request starts on the next loop turn.
        asyncio.get_running_loop().call_soon(self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting or exc is not None:
            self.lost += 1
        self.ended.set()


async def exchange(url: str, requests: Iterator[bytes], connections: int) -> list[Exchange]:
    """Send all `requests` over `connections` connections and wait for every answer."""
    target = urlsplit(url)
    loop = asyncio.get_running_loop()
    lines = [Exchange(requests, asyncio.Event()) for _ in range(connections)]
    for line in lines:
        await loop.create_connection(lambda line=line: line, target.hostname, target.port)
    await asyncio.gather(*(line.ended.wait() for line in lines))
    return lines


def answers_to(url: str, bodies: list[bytes], connections: int) -> list[bytes]:
    """POST each body once; all answers, in no particular order. Raises on anything but 2xx."""
    requests = iter([request_bytes(url, body) for body in bodies])
    lines = asyncio.run(asyncio.wait_for(exchange(url, requests, connections), 60))
    bad, lost = sum(line.bad_statuses for line in lines), sum(line.lost for line in lines)
    if bad or lost:
        sample = next(body for line in lines for body in line.bodies)
        raise RuntimeError(f"{url}: {bad} answers not 2xx, {lost} connections lost; e.g. {sample[:200]!r}")
    return [body for line in lines for body in line.bodies]


def _until(deadline: float, request: bytes) -> Iterator[bytes]:
    while time.perf_counter() < deadline:
        yield request


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("body_file", type=Path)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=2.0)
    chosen = parser.parse_args()
    request = request_bytes(chosen.url, chosen.body_file.read_bytes())
    started = time.perf_counter()
    requests = _until(started + chosen.seconds, request)
    load = exchange(chosen.url, requests, chosen.connections)
    lines = uvloop.run(asyncio.wait_for(load, chosen.seconds + 20))
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for line in lines for latency in line.latencies)
    cuts = quantiles(latencies, n=100)
    result = {
        "rate": len(latencies) / elapsed,
        "answers": len(latencies),
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "errors": {"status": sum(e.bad_statuses for e in lines), "read": sum(e.lost for e in lines)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
