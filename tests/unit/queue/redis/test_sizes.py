"""What is too large for a server is refused here: the server would break off, and look as if it were away."""

from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import StoreError, StoreUnavailable
from gristmill.model.chunk import cut
from gristmill.model.lease import NewResult, ResultKind, Settlement
from gristmill.queue.redis.sizes import Sizes


def test_what_the_server_takes_is_let_through() -> None:
    sizes = Sizes(value=10, call=(1 << 20) + 30)
    sizes.check(["x" * 10, b"y" * 10, 7, b"z" * 10])
    sizes.check([])


def test_one_value_that_is_too_large_and_too_many_at_once_are_refused() -> None:
    sizes = Sizes(value=10, call=(1 << 20) + 30)
    with pytest.raises(StoreError, match=r"^11 bytes .* for one chunk: proto-max-bulk-len is 10"):
        sizes.check([b"x", b"y" * 11])
    with pytest.raises(StoreError, match=r"^31 bytes .* at once: client-query-buffer-limit is"):
        sizes.check([b"x" * 10] * 3 + [b"y"])


def test_what_a_server_keeps_to_itself_is_taken_to_be_the_default() -> None:
    sizes = Sizes()
    sizes.learn({})
    assert (sizes.value, sizes.call) == (512 << 20, 1 << 30)
    sizes.learn({"proto-max-bulk-len": "1048576", "client-query-buffer-limit": "2097152"})
    assert (sizes.value, sizes.call) == (1 << 20, 2 << 20)


@pytest.mark.parametrize("options", ["", "?wait=aof"])
async def test_a_server_that_takes_little_is_asked_for_no_more(lab: Any, options: str) -> None:
    store = lab.reach(lab.serve(**{"proto-max-bulk-len": "1mb"}), options)
    await store.open()
    large = b'"' + b"x" * (2 << 20) + b'"'
    job, _ = lab.new(0)
    chunks = list(cut([large], job=job.id, max_items=1, max_bytes=1))
    with pytest.raises(StoreError, match="proto-max-bulk-len is 1048576") as refused:
        await store.enqueue([(job, chunks)])
    assert not isinstance(refused.value, StoreUnavailable)
    await store.enqueue([lab.new(1)])
    claim = await lab.claim(store)
    (chunk,) = claim.chunks
    result = NewResult(
        job=chunk.job, kind=ResultKind.SUCCEEDED, places=chunk.places, items=1, body=b"[" + large + b"]"
    )
    with pytest.raises(StoreError, match="proto-max-bulk-len is 1048576"):
        await store.settle(Settlement(lease=claim.lease, results=(result,)))
    assert [each.counts.running for each in (await store.jobs()).jobs] == [1]
    await lab.succeed(store, claim)
