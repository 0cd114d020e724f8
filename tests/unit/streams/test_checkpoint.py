from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import (
    Checkpoint,
    Identity,
    Progress,
    Range,
    SourceMark,
    check_same,
    differences,
    gaps,
    resumable,
)
from gristmill.streams.chunk import Chunk, Counts

MARK = SourceMark(name="a.csv", size=1000, changed_ns=5, digest="d")
IDENTITY = Identity(version=1, sources=(MARK,), handler="m:h", options={"quoting": "none"})


def changed(**fields: Any) -> Identity:
    return msgspec.structs.replace(IDENTITY, **fields)


def marked(**fields: Any) -> Identity:
    return changed(sources=(msgspec.structs.replace(MARK, **fields),))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        (changed(version=2), "another version of Gristmill began it (checkpoint 1, this is 2)"),
        (changed(handler="m:g"), "the handler was m:h, and is now m:g"),
        (marked(name="b.csv"), "the inputs were a.csv, and are now b.csv"),
        (marked(size=2000), "a.csv has changed since (it had 1,000 bytes, and has 2,000)"),
        (marked(digest="e"), "a.csv has changed since (its content is another)"),
        (marked(changed_ns=6), "a.csv has changed since (its time of change is another)"),
        (changed(options={"quoting": "lenient"}), "quoting was none, and is now lenient"),
        (changed(options={"quoting": "none", "pad": True}), "pad was None, and is now True"),
        (changed(options={}), "quoting was none, and is now None"),
    ],
)
def test_each_difference_is_told(new: Identity, told: str) -> None:
    assert differences(IDENTITY, new) == [told]
    with pytest.raises(ConfigurationError) as raised:
        check_same(IDENTITY, new, "out.journal")
    assert told in str(raised.value)
    assert "--overwrite" in str(raised.value)


def test_all_differences_are_told_and_none_of_what_is_the_same() -> None:
    assert differences(IDENTITY, marked()) == []
    assert len(differences(IDENTITY, changed(handler="x", version=3, options={}))) == 3
    many = changed(sources=tuple(SourceMark(name=f"{n}.csv") for n in range(9)))
    assert differences(many, IDENTITY) == [
        "the inputs were 0.csv, 1.csv, 2.csv and 6 more, and are now a.csv"
    ]


def test_identities_and_checkpoints_are_the_same_after_json() -> None:
    checkpoint = Checkpoint(
        next=4, source=1, offset=2, rows=3, beyond=(Range(1, 5, 9), Range(2, 0, 3, True)), out=7, dead=8,
        layout=b"[]", counts=Counts(read=5, succeeded=3, failed=1, filtered=1, blank=2), codes={"x": 1},
        is_done=True,
    )  # fmt: skip
    for each in (IDENTITY, checkpoint, Checkpoint()):
        assert msgspec.json.decode(msgspec.json.encode(each), type=type(each)) == each


def test_a_run_that_came_nowhere_gives_way_to_another_one() -> None:
    other = changed(handler="m:g")
    assert resumable(IDENTITY, None, IDENTITY, "j") is None
    assert resumable(IDENTITY, Checkpoint(), other, "j") is None
    assert resumable(IDENTITY, Checkpoint(), IDENTITY, "j") == Checkpoint()
    for come in (
        Checkpoint(counts=Counts(read=1)),
        Checkpoint(counts=Counts(blank=1)),
        Checkpoint(is_done=True),
    ):
        assert resumable(IDENTITY, come, IDENTITY, "j") is come
        with pytest.raises(ConfigurationError):
            resumable(IDENTITY, come, other, "j")


def range_of(source: int, start: int, size: int) -> Range:
    return Range(source, start, start + size)


RANGES = st.lists(st.builds(range_of, st.integers(0, 1), st.integers(0, 30), st.integers(0, 9)), max_size=6)


@given(RANGES, st.integers(0, 30), st.integers(0, 30))
def test_gaps_are_what_no_range_covers(done: list[Range], start: int, end: int) -> None:
    covered = {byte for each in done if each.source == 0 for byte in range(each.start, each.end)}
    found = list(gaps(done, 0, start, end))
    assert [byte for first, stop in found for byte in range(first, stop)] == [
        byte for byte in range(start, end) if byte not in covered
    ]
    assert all(first < stop for first, stop in found)


def chunks_of(sizes: list[list[int]]) -> list[Chunk]:
    """Cut inputs into chunks of these sizes; the last of each, maybe empty, is the last."""
    found: list[Chunk] = []
    for source, those in enumerate(sizes):
        at = 0
        for index, size in enumerate(those):
            found.append(
                Chunk(
                    number=len(found), source=source, start=at, end=at + size, is_last=index == len(those) - 1
                )
            )
            at += size
    return found


CHUNKS = st.tuples(st.lists(st.integers(1, 5), max_size=5), st.integers(0, 5)).map(
    lambda two: [*two[0], two[1]]
)
SIZES = st.lists(CHUNKS, min_size=1, max_size=4)


@given(SIZES, st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_any_order_of_chunks_ends_in_the_same_watermark(
    sizes: list[list[int]], chance: random.Random
) -> None:
    chunks = chunks_of(sizes)
    chance.shuffle(chunks)
    progress = Progress(Checkpoint())
    for done, chunk in enumerate(chunks, 1):
        progress.add(chunk, Counts(read=1), {"x": 1})
        now = progress.checkpoint(out=0, dead=0)
        seen = sum(each.size for each in chunks[:done])
        assert (
            sum(sum(sizes[source]) for source in range(now.source)) + sum(r.end - r.start for r in now.done)
            == seen
        )
        if chance.random() < 0.3:  # killed, and resumed
            progress = Progress(msgspec.json.decode(msgspec.json.encode(now), type=Checkpoint))
    last = progress.checkpoint(out=0, dead=0)
    assert (last.source, last.offset, last.beyond) == (len(sizes), 0, ())
    assert (last.counts.read, last.codes, last.next) == (len(chunks), {"x": len(chunks)}, len(chunks))


@given(SIZES, st.data())
def test_what_is_done_and_what_is_left_are_all_chunks(sizes: list[list[int]], data: Any) -> None:
    chunks = chunks_of(sizes)
    done = data.draw(st.sets(st.sampled_from(chunks)))
    progress = Progress(Checkpoint())
    for chunk in done:
        progress.add(chunk, Counts(), {})
    now = progress.checkpoint(out=0, dead=0)
    for source in range(now.source, len(sizes)):
        left = {
            byte for first, end in gaps(now.done, source, 0, sum(sizes[source])) for byte in range(first, end)
        }
        assert left == {
            byte
            for chunk in chunks
            if chunk.source == source and chunk not in done
            for byte in range(chunk.start, chunk.end)
        }


def test_rows_are_counted_for_each_input_anew() -> None:
    progress = Progress(Checkpoint())
    first, second, third = chunks_of([[4, 4], [4]])
    progress.add(first, Counts(read=3, blank=2), {})
    assert progress.rows == 5
    progress.add(second, Counts(read=1), {})
    assert progress.rows == 0
    progress.add(replace(third, is_last=False), Counts(read=2), {})
    assert progress.rows == 2


def test_a_checkpoint_does_not_change_later() -> None:
    progress = Progress(Checkpoint())
    first, second = chunks_of([[4, 4]])
    progress.add(first, Counts(read=1), {"x": 1})
    before = progress.checkpoint(out=1, dead=2)
    progress.add(second, Counts(read=1), {"x": 1})
    assert (before.counts.read, before.codes, before.out, before.dead) == (1, {"x": 1}, 1, 2)


def ten(number: int, key: str) -> Chunk:
    return Chunk(number=number, source=0, start=10 * number, end=10 * number + 10, key=key)


def test_the_key_of_a_checkpoint_is_that_of_the_last_chunk_without_a_gap_before_it() -> None:
    progress = Progress(Checkpoint())
    progress.add(ten(0, "a"), Counts(read=10), {})
    progress.add(ten(2, "c"), Counts(read=10), {})

    found = progress.checkpoint(out=0, dead=0)

    assert (found.offset, found.key) == (10, "a")
    assert [(each.end, each.key) for each in found.done] == [(10, "a"), (30, "c")]
    progress = Progress(found)
    progress.add(ten(1, "b"), Counts(read=10), {})
    assert progress.checkpoint(out=0, dead=0).key == "c"
