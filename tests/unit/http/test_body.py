from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterable

import looptime
import pytest

from gristmill.http.body import ClientGone, read_body
from gristmill.http.problems import Refused
from gristmill.http.settings import MIB, HttpLimits
from gristmill.http.watch import Message, Receive, Watch
from gristmill.wire import Problem


class Caller:
    """Sends chunks of a body; counts how many were asked for."""

    def __init__(self, chunks: Iterable[bytes], *, hangs_up: bool = False) -> None:
        self._chunks = iter(chunks)
        self._hangs_up = hangs_up
        self.asked = 0

    async def receive(self) -> Message:
        self.asked += 1
        chunk = next(self._chunks, None)
        if chunk is None:
            return {"type": "http.disconnect"} if self._hangs_up else {"type": "http.request", "body": b""}
        return {"type": "http.request", "body": chunk, "more_body": True}


async def read(
    *chunks: bytes, limit: int = MIB, caller: Caller | None = None, **headers: bytes
) -> bytes | bytearray:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    receive = (caller or Caller(chunks)).receive
    return await read_from(receive, limit, named)


async def read_from(
    receive: Receive, limit: int = MIB, headers: dict[bytes, bytes] | None = None
) -> bytes | bytearray:
    watch = Watch(30.0)
    visit = watch.enter(receive)
    try:
        return await read_body(headers or {}, visit, HttpLimits(), limit)
    finally:
        watch.leave(visit)


async def refusal(
    *chunks: bytes, limit: int = MIB, caller: Caller | None = None, **headers: bytes
) -> Problem:
    with pytest.raises(Refused) as caught:
        await read(*chunks, limit=limit, caller=caller, **headers)
    if caught.value.problem.status in (408, 413):
        assert (b"connection", b"close") in caught.value.headers
    return caught.value.problem


async def test_a_body_in_one_message_is_given_as_it_is() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"abc", "more_body": False}

    assert await read_from(receive, 3) == b"abc"
    with pytest.raises(Refused):
        await read_from(receive, 2)


async def test_a_body_in_chunks_is_joined_up_to_the_limit() -> None:
    assert await read(b"ab", b"", b"cd", limit=4) == b"abcd"
    found = await refusal(b"ab", b"cde", limit=4)
    assert (found.code, found.status, found.limit_bytes) == ("content_too_large", 413, 4)


@pytest.mark.parametrize("length", [b"5", b"9" * 5000, b"-1", b"0x1", b"5, 5", b""])
async def test_a_length_over_the_limit_is_refused_unread(length: bytes) -> None:
    caller = Caller([b"abcde"])
    assert (await refusal(limit=4, caller=caller, content_length=length)).code == "content_too_large"
    assert caller.asked == 0


async def test_blanks_around_a_length_do_no_harm() -> None:
    assert await read(b"abc", limit=4, content_length=b" 3 ") == b"abc"


async def test_an_endless_body_is_read_to_the_limit_only() -> None:
    chunk = b"x" * 65536
    caller = Caller(chunk for _ in iter(int, 1))
    tracemalloc.start()
    try:
        assert (await refusal(limit=MIB, caller=caller)).code == "content_too_large"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caller.asked == MIB // len(chunk) + 1
    assert peak < MIB * 1.25 + len(chunk)


async def test_gzip_is_unpacked_in_any_chunks_and_members() -> None:
    packed = gzip.compress(b"hello ") + gzip.compress(b"world")
    assert (
        await read(*(packed[n : n + 1] for n in range(len(packed))), content_encoding=b"gzip")
        == b"hello world"
    )
    assert await read(packed, content_encoding=b"gzip") == b"hello world"


@pytest.mark.parametrize("cut", [0, 5, -1])
async def test_truncated_gzip_is_malformed(cut: int) -> None:
    packed = gzip.compress(b"hello")[:cut]
    assert (await refusal(packed, content_encoding=b"gzip")).code == "malformed_encoding"


@pytest.mark.parametrize("packed", [b"{}", zlib.compress(b"{}"), gzip.compress(b"{}", mtime=0) + b"tail"])
async def test_what_is_not_gzip_is_malformed(packed: bytes) -> None:
    found = await refusal(packed, content_encoding=b"gzip")
    assert (found.code, found.status) == ("malformed_encoding", 400)


async def test_corrupt_gzip_is_malformed() -> None:
    packed = bytearray(gzip.compress(b"hello" * 100))
    packed[-6] ^= 1
    assert (await refusal(bytes(packed), content_encoding=b"gzip")).code == "malformed_encoding"


async def test_a_bomb_is_defused_at_the_limit_with_flat_memory() -> None:
    bomb = gzip.compress(b"0" * (64 * MIB))
    tracemalloc.start()
    try:
        found = await refusal(bomb, limit=2 * MIB, content_encoding=b"gzip")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.code, found.limit_bytes) == ("content_too_large", 2 * MIB)
    assert peak < 6 * MIB


async def test_a_ratio_over_a_hundred_is_a_bomb_once_it_is_large() -> None:
    assert len(await read(gzip.compress(b"0" * MIB), content_encoding=b"gzip")) == MIB
    assert (
        await refusal(gzip.compress(b"0" * 2 * MIB), limit=8 * MIB, content_encoding=b"gzip")
    ).status == 413


async def test_another_coding_is_refused_unread() -> None:
    caller = Caller([b"x"])
    assert (await refusal(caller=caller, content_encoding=b"br")).code == "unsupported_encoding"
    assert caller.asked == 0


async def test_a_caller_that_hangs_up_gets_no_answer() -> None:
    with pytest.raises(ClientGone):
        await read(caller=Caller([b"abc"], hangs_up=True))


@pytest.mark.looptime
async def test_a_body_that_does_not_come_is_given_up_at_its_deadline(looptime: looptime.Chronometer) -> None:
    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(Refused) as caught:
        await read_from(receive, MIB)
    found = caught.value.problem
    assert (found.code, found.status, found.retryable) == ("request_timeout", 408, True)
    assert (b"connection", b"close") in caught.value.headers
    assert 30.0 <= asyncio.get_running_loop().time() <= 30.3


@pytest.mark.looptime
async def test_a_body_in_single_bytes_is_given_up_at_the_same_deadline() -> None:
    async def receive() -> Message:
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=1.0)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(Refused) as caught:
        await read_from(receive, MIB)
    assert caught.value.problem.code == "request_timeout"
    assert asyncio.get_running_loop().time() <= 30.3


@pytest.mark.looptime
async def test_a_cancellation_from_outside_goes_on() -> None:
    async def receive() -> Message:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await read_from(receive, MIB)
