from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from gristmill import Breaker, Failed, Retry
from gristmill.errors import ConfigurationError, HandlerFailed, ReplyMismatch, WorkerDied
from gristmill.model.chunk import Chunk
from gristmill.model.lease import Claim
from gristmill.model.queue import BreakerState
from gristmill.model.settling import Answers, Policy
from gristmill.queue.breaker import CircuitBreaker, has_succeeded, passing_failures

LIMITS = Breaker(batches=3, items=3, wait=1.0, max_wait=10.0)
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def made(chance: float = 0.0, limits: Breaker = LIMITS) -> CircuitBreaker:
    return CircuitBreaker(limits, lambda: chance)


def fail(breaker: CircuitBreaker, times: int, now: float = 0.0) -> list[float | None]:
    """Let *times* batches fail, each of three other items."""
    return [breaker.failed(breaker.claimed(now), range(n * 3, n * 3 + 3), now) for n in range(times)]


def opened(chance: float = 0.0, limits: Breaker = LIMITS) -> CircuitBreaker:
    """A breaker that opened at 0."""
    breaker = made(chance, limits)
    fail(breaker, limits.batches)
    assert breaker.state is OPEN
    return breaker


def test_it_opens_after_so_many_failed_batches_in_a_row_and_not_before() -> None:
    breaker = made()
    assert fail(breaker, 3) == [None, None, 1.0]
    assert (breaker.state, breaker.openings) == (OPEN, 1)
    assert (breaker.delay(0.25), breaker.delay(0.75)) == (0.75, 0.25)


def test_a_success_between_them_starts_the_count_anew() -> None:
    breaker = made()
    fail(breaker, 2)
    assert not breaker.succeeded()
    assert fail(breaker, 2) == [None, None]
    assert (breaker.state, breaker.delay(0.0)) == (CLOSED, 0.0)


def test_few_items_that_fail_again_and_again_do_not_open_it() -> None:
    breaker = made()
    for _ in range(100):
        assert breaker.failed(breaker.claimed(0.0), ["a", "b"], 0.0) is None
    assert breaker.failed(breaker.claimed(0.0), ["c"], 0.0) == 1.0


def test_no_more_items_are_looked_at_than_matter() -> None:
    breaker = made()

    def names() -> Iterator[int]:
        yield from range(4)
        raise AssertionError("one more was read")

    assert [breaker.failed(breaker.claimed(0.0), names(), 0.0) for _ in range(3)] == [None, None, 1.0]


def test_after_the_cool_down_one_batch_is_claimed_and_no_other_until_it_has_ended() -> None:
    breaker = opened()
    assert breaker.delay(1.0) == 0.0
    assert breaker.state is HALF_OPEN
    probe = breaker.claimed(1.0)
    assert breaker.admits(probe)
    assert breaker.delay(1.0) > 0.0
    assert breaker.succeeded()
    assert (breaker.state, breaker.delay(1.0)) == (CLOSED, 0.0)


def test_a_probe_that_hangs_is_followed_by_another_after_the_longest_cool_down() -> None:
    breaker = opened()
    breaker.delay(1.0)
    hanging = breaker.claimed(1.0)
    assert [breaker.delay(at) for at in (1.0, 4.0, 11.0)] == [10.0, 7.0, 0.0]
    second = breaker.claimed(11.0)
    assert [breaker.delay(at) for at in (11.0, 21.0)] == [10.0, 0.0]
    assert breaker.admits(hanging)
    assert breaker.admits(second)
    breaker.ended(second)
    assert breaker.delay(12.0) == 9.0  # the first has not ended yet


@pytest.mark.parametrize("which", [0, 1])
def test_each_of_two_probes_opens_it_again_if_it_fails_but_only_once(which: int) -> None:
    breaker = opened()
    breaker.delay(1.0)
    probes = [breaker.claimed(1.0), breaker.claimed(11.0)]
    assert breaker.failed(probes[which], ["a"], 12.0) == 2.0
    assert breaker.failed(probes[1 - which], ["b"], 13.0) is None
    assert (breaker.state, breaker.delay(13.0)) == (OPEN, 1.0)
    assert not breaker.admits(probes[1 - which])


def test_a_claim_that_finds_nothing_leaves_it_free_to_claim_again() -> None:
    breaker = opened()
    assert [breaker.delay(at) for at in (1.0, 1.0, 500.0)] == [0.0, 0.0, 0.0]
    assert breaker.admits(breaker.claimed(0.0))


def test_a_probe_that_tells_nothing_is_followed_by_another() -> None:
    breaker = opened()
    breaker.delay(1.0)
    breaker.ended(breaker.claimed(0.0))  # it was given back, or failed for good
    assert (breaker.state, breaker.delay(1.0)) == (HALF_OPEN, 0.0)


@pytest.mark.parametrize(
    ("chance", "waits"), [(0.0, [1.0, 2.0, 4.0, 5.0, 5.0]), (0.5, [1.5, 3.0, 6.0, 7.5, 7.5])]
)
def test_each_probe_that_fails_doubles_the_cool_down_up_to_the_longest(
    chance: float, waits: list[float]
) -> None:
    breaker = made(chance)
    found = [fail(breaker, 3)[-1]]
    now = 0.0
    while len(found) < len(waits):
        now += breaker.delay(now)
        assert breaker.delay(now) == 0.0
        found.append(breaker.failed(breaker.claimed(now), ["a"], now))
    assert found == waits
    assert breaker.openings == 1


def test_the_cool_down_is_within_its_bounds_whatever_the_chance() -> None:
    limits = Breaker(batches=1, items=1, wait=4.0, max_wait=5.0)
    assert opened(0.0, limits).delay(0.0) == 4.0
    assert opened(0.999999, limits).delay(0.0) < 5.0


def test_after_a_success_the_cool_down_is_short_again() -> None:
    breaker = opened()
    breaker.delay(1.0)
    assert breaker.failed(breaker.claimed(0.0), ["a"], 1.0) == 2.0
    breaker.delay(3.0)
    breaker.claimed(0.0)
    assert breaker.succeeded()
    assert fail(breaker, 3, 4.0) == [None, None, 1.0]
    assert breaker.openings == 2


def test_what_was_claimed_before_it_opened_does_not_run_until_it_is_closed() -> None:
    breaker = made()
    early = breaker.claimed(0.0)
    fail(breaker, 3)
    late = breaker.claimed(0.0)  # its claim was under way
    assert not breaker.admits(early)
    assert not breaker.admits(late)
    breaker.delay(1.0)
    assert not breaker.admits(early)
    assert not breaker.admits(late)
    breaker.claimed(0.0)
    assert not breaker.admits(early)
    breaker.succeeded()
    assert breaker.admits(early)


def test_a_batch_that_began_before_it_opened_closes_it_if_it_succeeds_and_tells_nothing_if_not() -> None:
    breaker = made()
    early = breaker.claimed(0.0)
    fail(breaker, 3)
    assert breaker.failed(early, ["x"], 0.5) is None
    assert breaker.delay(0.5) == 0.5
    breaker.delay(1.0)
    breaker.claimed(1.0)
    assert breaker.failed(early, ["x"], 1.0) is None
    breaker.ended(early)
    assert (breaker.state, breaker.delay(1.0)) == (HALF_OPEN, 10.0)
    assert breaker.succeeded()
    assert breaker.state is CLOSED


def test_a_probe_of_an_earlier_time_is_none_any_more() -> None:
    breaker = opened()
    breaker.delay(1.0)
    probe = breaker.claimed(0.0)
    breaker.succeeded()  # another batch, that began earlier
    fail(breaker, 3, 2.0)
    breaker.delay(3.0)
    second = breaker.claimed(3.0)
    assert breaker.failed(probe, ["a"], 3.0) is None
    breaker.ended(probe)
    assert breaker.delay(3.0) == 10.0
    assert breaker.failed(second, ["a"], 3.0) == 2.0


@pytest.mark.parametrize(
    "bad",
    [
        {"batches": 0},
        {"items": 0},
        {"batches": 1.5},
        {"wait": 0},
        {"wait": 61.0},
        {"max_wait": math.inf},
        {"wait": math.nan},
    ],
)
def test_numbers_that_cannot_work_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Breaker(**bad)


def claim_of(*chunks: int) -> Claim:
    """A claim of chunks of so many items each."""
    made = [
        Chunk(
            id=n,
            job=f"job_{n}",
            queue="q",
            items=size,
            places=((10, size),),
            body=b"[]",
            key=None,
            line=0,
            attempt=0,
            crashes=0,
        )
        for n, size in enumerate(chunks)
    ]
    return Claim(lease=1, queue="q", chunks=tuple(made))


def answers_of(*failures: dict[int, Failed]) -> list[Answers]:
    return [Answers(values=None, failures=each) for each in failures]


DOWN = Failed("down", "down", retryable=True)
BAD = Failed("bad", "bad")


@pytest.mark.parametrize(
    ("failures", "succeeded", "names"),
    [
        (({}, {}), True, []),
        (({0: DOWN, 1: DOWN}, {}), True, [("job_0", 10), ("job_0", 11)]),
        (({0: DOWN, 1: DOWN}, {0: DOWN}), False, [("job_0", 10), ("job_0", 11), ("job_1", 10)]),
        (({0: BAD, 1: DOWN}, {0: BAD}), False, [("job_0", 11)]),
        (({0: BAD, 1: BAD}, {0: BAD}), False, []),
    ],
)
def test_what_failed_for_good_tells_nothing(failures: Any, succeeded: bool, names: Any) -> None:  # noqa: FBT001
    claim, answers = claim_of(2, 1), answers_of(*failures)
    assert has_succeeded(claim, answers) is succeeded
    assert [name for name, _ in passing_failures(claim, answers, Policy())] == names


@pytest.mark.parametrize(
    ("failed", "policy", "passes"),
    [
        (Failed(HandlerFailed("it raised"), "handler_error", retryable=True), Policy(), True),
        (Failed(WorkerDied("gone"), "worker_died"), Policy(), True),
        (Failed(ReplyMismatch("too short"), "handler_contract"), Policy(), False),
        (DOWN, Policy(retry=Retry(attempts=1)), True),  # its attempt was the last, and yet it may pass
        (DOWN, Policy(retry=Retry(on=(ValueError,))), False),
        (Failed(ValueError("x")), Policy(retry=Retry(on=(ValueError,))), True),
    ],
)
def test_what_is_tried_again_is_what_the_retry_says_however_often_it_was(
    failed: Failed,
    policy: Policy,
    passes: bool,  # noqa: FBT001
) -> None:
    found = list(passing_failures(claim_of(1), answers_of({0: failed}), policy))
    assert bool(found) is passes
    if passes:
        assert found == [(("job_0", 10), failed.code)]
