from __future__ import annotations

import asyncio

from gristmill.http.outbox import Outbox


async def test_what_is_ready_goes_together_in_its_order() -> None:
    outbox = Outbox()
    await outbox.put(b"a")
    await outbox.put(b"b")
    assert await outbox.take() == b"ab"


async def test_a_reader_waits_for_the_next_piece() -> None:
    outbox = Outbox()
    taking = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    assert not taking.done()
    await outbox.put(b"a")
    assert await taking == b"a"


async def test_writers_wait_while_too_much_is_held() -> None:
    outbox = Outbox(limit=2)
    await outbox.put(b"abc")
    writing = [asyncio.ensure_future(outbox.put(piece)) for piece in (b"d", b"e")]
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(one.done() for one in writing)
    assert await outbox.take() == b"abc"
    await asyncio.gather(*writing)
    assert await outbox.take() == b"de"


async def test_the_end_comes_after_what_is_held() -> None:
    outbox = Outbox()
    await outbox.put(b"a")
    outbox.close()
    assert [await outbox.take(), await outbox.take(), await outbox.take()] == [b"a", b"", b""]


async def test_the_end_wakes_a_waiting_reader() -> None:
    outbox = Outbox()
    taking = asyncio.ensure_future(outbox.take())
    await asyncio.sleep(0)
    outbox.close()
    assert await taking == b""
