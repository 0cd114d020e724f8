from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import HandlerFailed, WorkerDied
from gristmill.model.chunk import Chunk, each_place, runs_of
from gristmill.model.lease import Claim, ResultKind
from gristmill.model.outcome import Failed
from gristmill.model.retry import Retry
from gristmill.model.settling import CRASHED, Answers, Policy, settle, settle_crash, split_in_two

OUTCOMES = st.sampled_from(["ok", "busy", "bad", "worse"])


def chunk_of(count: int, first: int = 0, **options: object) -> Chunk:
    fields = {"attempt": 0, "crashes": 0, "key": None, "line": 1, **options}
    body = json.dumps(list(range(first, first + count))).encode()
    return Chunk(id=1, queue="q", job="j", places=((first, count),), items=count, body=body, **fields)  # type: ignore[arg-type]  # by name


def claim_of(*chunks: Chunk) -> Claim:
    return Claim(lease=9, queue="q", chunks=chunks)


def failed(code: str) -> Failed:
    return Failed(f"it is {code}", code, retryable=code == "busy")


@given(st.lists(OUTCOMES, min_size=1, max_size=30), st.integers(0, 4))
def test_every_item_is_done_once_or_runs_again(outcomes: list[str], attempt: int) -> None:
    chunk = chunk_of(len(outcomes), first=100, attempt=attempt)
    failures = {i: failed(code) for i, code in enumerate(outcomes) if code != "ok"}
    texts = [str(100 + i).encode() if i not in failures else b"" for i in range(len(outcomes))]
    policy = Policy(retry=Retry(attempts=4, base=2.0))
    found = settle(
        claim_of(chunk),
        [Answers(values=texts if failures else chunk.body, failures=failures)],
        policy,
        lambda: 0.5,
    )
    live = [place for part in found.chunks if part.code is None for place in each_place(part.places)]
    done = [place for result in found.results for place in each_place(result.places)]
    dead = [place for part in found.chunks if part.code is not None for place in each_place(part.places)]
    assert sorted(live + done) == [100 + i for i in range(len(outcomes))]
    busy = [100 + i for i, code in enumerate(outcomes) if code == "busy"]
    assert live == (busy if attempt + 1 < 4 else [])
    assert sorted(dead) == sorted(
        place
        for result in found.results
        if result.kind is ResultKind.FAILED
        for place in each_place(result.places)
    )
    for part in found.chunks:
        assert part.attempt == attempt + 1
        assert json.loads(part.body) == list(each_place(part.places))
        if part.code is None:
            assert part.delay == 2.0 * 2.0**attempt / 2
        else:
            assert part.error == f"it is {part.code}"
    for result in found.results:
        if result.kind is ResultKind.SUCCEEDED:
            assert json.loads(result.body or b"") == list(each_place(result.places))
        else:
            assert {row["attempts"] for row in json.loads(result.body or b"")} == {attempt + 1}


def test_a_raise_and_a_dead_worker_are_tried_again_whatever_they_say() -> None:
    policy = Policy(retry=Retry(attempts=2))
    for error in (HandlerFailed("no"), WorkerDied("gone"), ValueError("in place")):
        code = getattr(error, "code", "handler_error")
        assert policy.admits(Failed(error, code), 1)
        assert not policy.admits(Failed(error, code), 2)
        assert policy.is_passing(Failed(error, code))
    assert not policy.admits(Failed("no", "bad"), 1)
    assert not policy.is_passing(Failed("no", "bad"))


def test_the_retry_of_a_handler_may_choose_by_the_error() -> None:
    policy = Policy(retry=Retry(attempts=3, on=(KeyError,)))
    assert policy.admits(Failed(KeyError("x"), "handler_error"), 1)
    assert not policy.admits(Failed(ValueError("x"), "handler_error"), 1)


def test_the_text_of_an_exception_is_for_operators_and_not_for_callers() -> None:
    error = HandlerFailed("q raised ValueError: pw=1")
    error.__cause__ = ValueError("pw=1")
    found = settle(
        claim_of(chunk_of(1)),
        [Answers(values=[b""], failures={0: Failed(error, "handler_error")})],
        Policy(retry=Retry(attempts=1)),
        lambda: 0.0,
    )
    assert found.chunks[0].error == "ValueError: pw=1"
    assert b"pw=1" not in (found.results[0].body or b"")


@pytest.mark.parametrize(
    ("failure", "code", "message", "error"),
    [
        (Failed("no file caf\udce9", "gone"), "gone", "no file caf?", "no file caf?"),
        (Failed("gone", "caf\udce9"), "caf?", "gone", "gone"),
        (Failed(FileNotFoundError("caf\udce9"), "gone"), "gone", "", "FileNotFoundError: caf?"),
        (Failed("caf\u00e9", "gone"), "gone", "caf\u00e9", "caf\u00e9"),
    ],
)
def test_what_no_store_takes_is_left_out_of_texts(
    failure: Failed, code: str, message: str, error: str
) -> None:
    answers = Answers(values=[b"", b"1"], failures={0: failure})
    found = settle(claim_of(chunk_of(2)), [answers], Policy(), lambda: 0.5)
    (dead,) = found.chunks
    assert (dead.code, dead.error) == (code, error)
    (result,) = [each for each in found.results if each.kind is ResultKind.FAILED]
    (told,) = json.loads(result.body or b"")
    assert (told["code"], told["message"]) == (code, message)
    json.dumps([dead.code, dead.error], ensure_ascii=False).encode()


def test_values_that_nobody_keeps_are_counted() -> None:
    found = settle(
        claim_of(chunk_of(3)), [Answers(values=None, failures={1: failed("bad")})], Policy(), lambda: 0.0
    )
    assert [(r.kind, r.items, r.body is None) for r in found.results] == [
        (ResultKind.SUCCEEDED, 2, True),
        (ResultKind.FAILED, 1, False),
    ]


@given(st.integers(1, 200), st.integers(0, 199))
def test_a_poison_item_is_alone_after_a_logarithm_of_crashes(count: int, poison: int) -> None:
    poison %= count
    policy = Policy(max_crashes=3)
    chunk = chunk_of(count)
    deaths = 0
    healthy: list[int] = []
    while True:
        found = settle_crash(claim_of(chunk), policy)
        deaths += 1
        if found.results:
            break
        assert sum(part.items for part in found.chunks) == chunk.items
        for part in found.chunks:
            places = list(each_place(part.places))
            if poison in places:
                chunk = chunk_of(part.items, first=places[0], crashes=part.crashes)
            else:
                healthy += places
            assert part.attempt == 0
            assert part.crashes >= 1
    assert sorted(healthy) == [n for n in range(count) if n != poison]
    assert deaths <= max(1, (count - 1).bit_length()) + 4
    (dead,) = found.chunks
    assert (dead.code, found.results[0].kind) == (CRASHED, ResultKind.FAILED)


def test_halves_of_a_failed_transaction_keep_every_item() -> None:
    found = split_in_two(claim_of(chunk_of(5), chunk_of(1, first=5)), 1)
    assert [list(each_place(part.places)) for part in found.chunks] == [[0, 1, 2], [3, 4], [5]]
    assert runs_of([0, 1, 2]) == found.chunks[0].places
