"""Claims become batches, and every item of every chunk gets its own answer."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gristmill import BatchHandler, Failed, batch
from gristmill.model.chunk import Chunk
from gristmill.model.lease import Claim
from gristmill.queue.coding import QueueCodec
from gristmill.queue.execution import answer

ITEMS = st.lists(st.one_of(st.integers(0, 9), st.just("bad")), min_size=1, max_size=12)


def handler_of(cap: int, batches: list[list[int]]) -> BatchHandler[int, Any]:
    @batch(name="numbers", max_size=cap)
    async def numbers(items: list[int]) -> list[int | Failed]:
        batches.append(items)
        return [Failed("odd", "odd") if item % 2 else item * 10 for item in items]

    return numbers


def chunk_of(number: int, items: list[Any], attempt: int, key: str | None) -> Chunk:
    return Chunk(
        id=number, queue="numbers", job="j", places=((0, len(items)),), items=len(items),
        body=json.dumps(items).encode(), key=key, line=number, attempt=attempt, crashes=0,
    )  # fmt: skip


@given(
    st.lists(st.tuples(ITEMS, st.integers(0, 1), st.sampled_from([None, None, "k"])), min_size=1, max_size=5),
    st.integers(1, 10),
)
async def test_every_item_gets_its_own_answer(chunks: list[Any], cap: int) -> None:
    batches: list[list[int]] = []
    handler = handler_of(cap, batches)
    made = tuple(chunk_of(number, *spec) for number, spec in enumerate(chunks))
    answers = await answer(handler, QueueCodec(handler), Claim(lease=1, queue="numbers", chunks=made))
    for (items, _, _), found in zip(chunks, answers, strict=True):
        for index, item in enumerate(items):
            if item == "bad":
                assert found.failures[index].code == "invalid_item"
            elif item % 2:
                assert found.failures[index].code == "odd"
            else:
                values = found.values
                listed = (
                    json.loads(values)
                    if isinstance(values, bytes)
                    else [json.loads(v or "null") for v in values]
                )
                assert listed[index] == item * 10
    assert all(1 <= len(each) <= cap for each in batches)
    good = [item for items, _, _ in chunks for item in items if item != "bad"]
    assert [item for each in batches for item in each] == good


async def test_chunks_of_one_attempt_share_a_batch_and_keyed_ones_do_not() -> None:
    batches: list[list[int]] = []
    handler = handler_of(100, batches)
    specs = [([1, 2], 0, None), ([3], 0, None), ([4], 1, None), ([5], 1, "k"), ([6], 1, "k")]
    made = tuple(chunk_of(number, *spec) for number, spec in enumerate(specs))
    await answer(handler, QueueCodec(handler), Claim(lease=1, queue="numbers", chunks=made))
    assert batches == [[1, 2, 3], [4], [5], [6]]
