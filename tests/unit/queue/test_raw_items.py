"""Items that come as the JSON they are, as from a file."""

from __future__ import annotations

import msgspec
import pytest

from gristmill import BatchHandler, batch
from gristmill.errors import InvalidItem
from gristmill.queue.memory.store import MemoryStore
from gristmill.queue.service import Jobs


class Mail(msgspec.Struct):
    to: str


def handler() -> BatchHandler[Mail, str]:
    @batch(name="mails", key=lambda mail: mail.to)
    async def mails(items: list[Mail]) -> list[str]:
        return [item.to for item in items]

    return mails


async def test_they_are_stored_as_they_came_under_the_key_of_what_they_say() -> None:
    store = MemoryStore()
    texts = [b'{"to": "a",  "more": 1}', b'{"to":"b"}', b'{"to":"a"}']
    ref = await Jobs([handler()], store).enqueue("mails", map(msgspec.Raw, texts))
    chunks = await store.unprocessed(ref.id)
    assert {chunk.key: chunk.raws() for chunk in chunks} == {"a": [texts[0], texts[2]], "b": [texts[1]]}


@pytest.mark.parametrize("text", [b"", b"nonsense", b'{"to": 5}', b'{"to":"a"} {"to":"b"}', b'{"to":"\xff"}'])
async def test_one_that_is_no_item_is_refused(text: bytes) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidItem, match="item 1") as caught:
        await Jobs([handler()], store).enqueue("mails", [Mail("a"), msgspec.Raw(text)])
    assert caught.value.index == 1
    assert (await store.jobs()).jobs == ()
