from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gristmill.model.chunk import Chunk, array, cut, each_place, pick, runs_from_text, runs_of, runs_to_text

PLACES = st.lists(st.integers(0, 50), max_size=20)
ITEMS = st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=3), max_size=30)


def chunk_of(items: list[object], places: list[int] | None = None) -> Chunk:
    here = runs_of(range(len(items)) if places is None else places)
    return Chunk(
        id=1, queue="q", job="j", places=here, items=len(items), body=json.dumps(items).encode(),
        key="k", line=7, attempt=2, crashes=1,
    )  # fmt: skip


@given(PLACES)
def test_runs_keep_the_places_and_their_order(places: list[int]) -> None:
    runs = runs_of(places)
    assert list(each_place(runs)) == places
    assert runs_from_text(runs_to_text(runs)) == runs
    assert all(count >= 1 for _, count in runs)


def test_runs_are_as_few_as_they_can_be() -> None:
    assert runs_of(range(1000)) == ((0, 1000),)
    assert runs_of([3, 4, 7, 8, 9, 1]) == ((3, 2), (7, 3), (1, 1))
    assert runs_of([]) == ()


@given(ITEMS, st.integers(1, 7), st.integers(1, 60))
def test_cut_keeps_every_item_once_in_order_and_within_its_limits(
    items: list[object], most: int, size: int
) -> None:
    texts = [json.dumps(item).encode() for item in items]
    chunks = list(cut(texts, job="j", max_items=most, max_bytes=size, key="k"))
    assert [place for chunk in chunks for place in each_place(chunk.places)] == list(range(len(items)))
    assert [item for chunk in chunks for item in json.loads(chunk.body)] == items
    for chunk in chunks:
        assert 1 <= chunk.items <= most
        assert chunk.key == "k"
        assert chunk.items == 1 or len(chunk.body) - 2 <= size + chunk.items


def test_cut_reads_no_further_than_the_chunk_it_gives() -> None:
    read = []

    def source() -> object:
        for number in range(10):
            read.append(number)
            yield b"1"

    first = next(cut(source(), job="j", max_items=3, max_bytes=100))  # type: ignore[arg-type]  # a generator of bytes
    assert first.items == 3
    assert len(read) == 4


@given(ITEMS.filter(len), st.data())
def test_what_is_picked_is_the_same_items_in_the_same_places(
    items: list[object], data: st.DataObject
) -> None:
    indices = sorted(data.draw(st.sets(st.integers(0, len(items) - 1), min_size=1)))
    places = data.draw(st.lists(st.integers(0, 99), min_size=len(items), max_size=len(items), unique=True))
    part = pick(chunk_of(items, places), indices, crashes=5)
    assert list(each_place(part.places)) == [places[i] for i in indices]
    assert json.loads(part.body) == [items[i] for i in indices]
    assert (part.items, part.key, part.line, part.attempt, part.crashes) == (len(indices), "k", 7, 2, 5)


def test_the_text_of_an_item_is_never_rewritten() -> None:
    texts = [b'{"b": 1.10, "a":[ ]}', b"12345678901234567890123", b'"\\u00e9"']
    chunk = Chunk(
        id=1, queue="q", job="j", places=((0, 3),), items=3, body=array(texts),
        key=None, line=1, attempt=0, crashes=0,
    )  # fmt: skip
    assert chunk.raws() == texts
    assert pick(chunk, [1]).body == b"[12345678901234567890123]"
