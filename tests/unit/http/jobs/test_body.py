from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gristmill.http.body import ClientGone
from gristmill.http.drain import Drain
from gristmill.http.jobs.body import Incoming, Spool
from gristmill.http.problems import CLOSE, Refused
from gristmill.http.settings import HttpLimits

LIMITS = HttpLimits(body_timeout=5.0, idle_timeout=2.0)


class Sender:
    """Sends pieces, and then nothing unless it *ends*."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        for number, piece in enumerate(pieces):
            more = not ends or number < len(pieces) - 1
            self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    async def receive(self) -> Any:
        return await self._messages.get()

    def send(self, piece: bytes) -> None:
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def hang_up(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


def incoming(sender: Sender, *, limit: int = 100, drain: Drain | None = None, **headers: bytes) -> Incoming:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Incoming(named, sender.receive, LIMITS, limit, drain or Drain([]))


async def read(body: Incoming) -> bytes:
    return b"".join([piece async for piece in body.pieces()])


async def test_a_body_comes_as_it_was_sent() -> None:
    body = incoming(Sender(b"ab", b"", b"c"))
    assert not body.is_whole
    assert await read(body) == b"abc"
    assert body.is_whole


async def test_gzip_is_unpacked_in_pieces_of_bounded_size() -> None:
    text = b"".join(b"%d\n" % n for n in range(200_000))
    packed = gzip.compress(text[:1000]) + gzip.compress(text[1000:])
    body = incoming(Sender(packed), limit=1 << 22, content_encoding=b"gzip")
    pieces = [piece async for piece in body.pieces()]
    assert b"".join(pieces) == text
    assert max(map(len, pieces)) <= 1 << 18


@pytest.mark.parametrize("length", [b"101", b"9" * 30, b"x"])
def test_a_length_over_the_limit_is_refused_unread(length: bytes) -> None:
    with pytest.raises(Refused) as caught:
        incoming(Sender(), content_length=length)
    assert caught.value.problem.code == "content_too_large"
    assert CLOSE in caught.value.headers


async def test_a_body_that_grows_over_the_limit_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        await read(incoming(Sender(b"x" * 60, b"x" * 60, ends=False)))
    assert caught.value.problem.limit_bytes == 100


async def test_a_bomb_is_refused_long_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    sizes: list[int] = []

    async def measure() -> None:
        async for piece in incoming(Sender(bomb), limit=200 << 20, content_encoding=b"gzip").pieces():
            sizes.append(len(piece))  # noqa: PERF401 - what came before the refusal counts

    with pytest.raises(Refused) as caught:
        await measure()
    assert caught.value.problem.code == "content_too_large"
    assert sum(sizes) <= len(bomb) * 100


@pytest.mark.looptime
async def test_a_body_that_falls_silent_is_given_up() -> None:
    with pytest.raises(Refused) as caught:
        await read(incoming(Sender(b"x", ends=False)))
    assert (caught.value.problem.code, asyncio.get_running_loop().time()) == ("request_timeout", 2.0)


@pytest.mark.looptime
async def test_a_body_that_is_read_whole_has_a_deadline() -> None:
    sender = Sender(ends=False)

    async def trickle() -> None:
        while True:
            await asyncio.sleep(1.0)  # virtual: the loop's time is not the wall's
            sender.send(b"x")

    task = asyncio.create_task(trickle())
    with pytest.raises(Refused) as caught:
        await incoming(sender).whole()
    task.cancel()
    assert (caught.value.problem.code, asyncio.get_running_loop().time()) == ("request_timeout", 5.0)


async def test_a_caller_that_hangs_up_has_sent_nothing() -> None:
    sender = Sender(b"x", ends=False)
    sender.hang_up()
    with pytest.raises(ClientGone):
        await read(incoming(sender))


@pytest.mark.looptime
async def test_a_drain_cuts_a_body_short() -> None:
    drain = Drain([])
    asyncio.get_running_loop().call_later(1.0, drain.begin)
    with pytest.raises(Refused) as caught:
        await read(incoming(Sender(b"x", ends=False), drain=drain))
    assert (caught.value.problem.code, asyncio.get_running_loop().time()) == ("closed", 1.0)


async def each(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("pieces", [(), (b"abc",), (b"x" * 7,) * 5])
async def test_a_spool_gives_back_what_it_took(pieces: tuple[bytes, ...]) -> None:
    whole = b"".join(pieces)
    with Spool(most=10) as spool:
        await spool.fill(each(*pieces))
        assert b"".join([piece async for piece in spool.pieces()]) == whole
        assert spool.fingerprint == hashlib.sha256(whole).hexdigest()
