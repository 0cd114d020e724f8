"""Which batch goes next, asked of the state machine itself."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from gristmill.batching.batch import Mark
from gristmill.batching.coalescer import Coalescer
from gristmill.model.limits import Limits


class Tenant:
    """A key that compares by what may change."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tenant) and self.name == other.name


def waits(coalescer: Coalescer, item: Any, key: Tenant) -> None:
    coalescer.partition(key).push(item, concurrent.futures.Future[Any](), 0.0, Mark(0.0, None, None))


def test_keys_that_change_while_they_are_held_lose_no_item_and_stop_no_loop() -> None:
    coalescer = Coalescer(Limits(key=lambda item: item))
    first, second = Tenant("a"), Tenant("b")
    waits(coalescer, 1, first)
    waits(coalescer, 2, second)
    first.name = "b"  # now it is equal to the other one
    waits(coalescer, 3, Tenant("b"))
    waits(coalescer, 4, Tenant("a"))
    taken = []
    while not coalescer.is_empty and len(taken) < 4:
        batch = coalescer.take(1.0, 10, 0.0)
        assert batch is not None
        taken.append(batch.items)
    assert coalescer.is_empty
    assert sorted(item for items in taken for item in items) == [1, 2, 3, 4]
