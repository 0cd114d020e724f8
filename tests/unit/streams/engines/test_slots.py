from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from gristmill.streams.engines.slots import (
    SLOT_BYTES,
    SLOTS,
    SMALLEST,
    Door,
    ParentSlots,
    WorkerSlots,
    parent_slots,
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the memory is of Linux; elsewhere: the socket"
)

BODY = os.urandom(SMALLEST)


@pytest.fixture
def parent() -> Iterator[ParentSlots]:
    slots = ParentSlots()
    yield slots
    slots.shut()


@pytest.fixture
def worker(parent: ParentSlots) -> WorkerSlots:
    return WorkerSlots(Door(os.dup(parent.door.fd)))


def put(worker: WorkerSlots, body: bytes | bytearray | memoryview) -> tuple[int, int]:
    place = worker.put(body)
    assert place is not None
    return place


def test_a_body_arrives_as_it_was(parent: ParentSlots, worker: WorkerSlots) -> None:
    assert parent.take(put(worker, BODY)) == BODY
    largest = bytes(SLOT_BYTES)
    assert parent.take(put(worker, largest)) == largest


@pytest.mark.parametrize("size", [0, SMALLEST - 1, SLOT_BYTES + 1])
def test_a_body_that_is_not_worth_a_slot_or_too_large_gets_none(worker: WorkerSlots, size: int) -> None:
    assert worker.put(bytes(size)) is None


def test_any_kind_of_buffer_may_be_a_body(parent: ParentSlots, worker: WorkerSlots) -> None:
    view = memoryview(bytearray(BODY * 2))
    assert parent.take(put(worker, view[::2])) == bytes(view[::2])
    assert parent.take(put(worker, view.cast("I"))) == bytes(view)


def test_a_slot_is_taken_until_nothing_holds_its_body_or_a_part_of_it(
    parent: ParentSlots, worker: WorkerSlots
) -> None:
    bodies = [parent.take(put(worker, bytes([number]) * SMALLEST)) for number in range(SLOTS)]
    assert worker.put(BODY) is None
    part = bodies[1][10:20]
    del bodies[1]
    assert worker.put(BODY) is None
    assert part == b"\1" * 10
    del part
    assert put(worker, BODY)[0] == 1
    assert [bytes(body[:1]) for body in bodies] == [b"\0", bytes([SLOTS - 1])]


def test_a_slot_that_the_parent_was_not_told_of_is_free_again(worker: WorkerSlots) -> None:
    for _ in range(SLOTS + 1):
        worker.put_back(put(worker, BODY))


@pytest.mark.parametrize("place", [(0, 10), (-1, 10), (SLOTS, 10), (0, SLOT_BYTES + 1)])
def test_a_place_where_nothing_is_is_refused(parent: ParentSlots, place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no body in slot"):
        parent.take(place)


def test_bodies_outlive_the_parents_slots(worker: WorkerSlots) -> None:
    parent = ParentSlots()
    body = parent.take(put(WorkerSlots(Door(os.dup(parent.door.fd))), BODY))
    parent.shut()
    del parent
    assert body == BODY


@pytest.mark.parametrize("is_there", [True, False])
def test_where_there_is_no_such_memory_there_are_no_slots(
    monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    def full(name: str) -> int:
        raise OSError("no descriptors left")

    if is_there:
        monkeypatch.setattr(os, "memfd_create", full)
    else:
        monkeypatch.delattr(os, "memfd_create")
    assert parent_slots() is None
