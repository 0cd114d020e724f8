from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import StoreError
from gristmill.model.chunk import Chunk, each_place
from gristmill.model.lease import Claim, ResultKind, Settlement
from gristmill.model.outcome import Failed
from gristmill.model.refusal import fail_largest
from gristmill.model.settling import Answers, Policy, settle

TOO_LARGE = Failed(StoreError("too large"), "store_error")


def settled(sizes: list[list[int]], *, keep: bool = True) -> tuple[Claim, Settlement]:
    """Return a claim of a chunk for each list, and outcomes with values of these sizes; 0 failed."""
    chunks, answers, first = [], [], 3
    for number, of in enumerate(sizes):
        body = json.dumps(list(range(first, first + len(of)))).encode()
        places = ((first, len(of)),)
        facts: dict[str, Any] = {"attempt": 0, "crashes": 0, "key": None, "line": 1, "queue": "q"}
        job = f"job_{number % 2}"
        chunks.append(Chunk(id=number, job=job, places=places, items=len(of), body=body, **facts))
        failures = {i: Failed("no", "bad") for i, size in enumerate(of) if not size}
        values = [b'"%b"' % (b"x" * size) if size else b"" for size in of]
        answers.append(Answers(values=values if keep else None, failures=failures))
        first += len(of)
    claim = Claim(lease=1, queue="q", chunks=tuple(chunks))
    return claim, settle(claim, answers, Policy(), float)


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=4), st.integers(1, 9)
)
def test_the_largest_values_fail_and_every_item_has_one_outcome(sizes: list[list[int]], count: int) -> None:
    claim, settlement = settled(sizes)
    found = fail_largest(claim, settlement, count, TOO_LARGE)
    flat = [size for of in sizes for size in of]
    if count >= len([size for size in flat if size]):
        assert found is None
        return
    assert found is not None
    places = sorted(place for result in found.results for place in each_place(result.places))
    assert places == list(range(3, 3 + len(flat)))
    refused = [each for each in found.chunks if each.code == "store_error"]
    dead = [place for chunk in refused for place in each_place(chunk.places)]
    assert len(dead) == count
    assert [item for chunk in refused for item in json.loads(chunk.body)] == dead
    kept = [
        flat[place - 3]
        for result in found.results
        if result.kind is ResultKind.SUCCEEDED
        for place in each_place(result.places)
    ]
    assert max(kept) <= min(flat[place - 3] for place in dead)
    for result in found.results:
        assert result.body is not None
        assert len(json.loads(result.body)) == result.items == sum(size for _, size in result.places)
    jobs = {place: chunk.job for chunk in claim.chunks for place in each_place(chunk.places)}
    assert all(jobs[place] == each.job for each in found.results for place in each_place(each.places))


def test_values_that_are_not_kept_are_not_to_blame() -> None:
    assert fail_largest(*settled([[1, 2, 3]], keep=False), 1, TOO_LARGE) is None
