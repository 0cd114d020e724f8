from __future__ import annotations

import pytest

from gristmill.model.chunk import Chunk
from gristmill.model.lease import Claim
from gristmill.queue.suspects import Suspects


def claim(*chunks: tuple[str, int], attempt: int = 0) -> Claim:
    """Return a claim of single items, each of a job and a place."""
    found = tuple(
        Chunk(
            id=number,
            queue="numbers",
            job=job,
            places=((place, 1),),
            items=1,
            body=b"[0]",
            key=None,
            line=number,
            attempt=attempt,
            crashes=0,
            keep_results=True,
        )
        for number, (job, place) in enumerate(chunks)
    )
    return Claim(lease=1, queue="numbers", chunks=found, more=False)


def fail(suspects: Suspects, *claims: Claim) -> None:
    """Let batches fail, the last of which opens the breaker."""
    for each in claims:
        suspects.failed(each)
    suspects.opened(claims[-1])


def test_nobody_is_suspected_before_the_breaker_opens() -> None:
    suspects = Suspects(5)
    suspects.failed(claim(("a", 0)))
    assert suspects.suspect is None
    suspects.opened(claim(("a", 0)))
    assert suspects.suspect == "a"
    assert repr(suspects) == "<Suspects: a>"


def test_where_two_jobs_fail_neither_is_to_blame() -> None:
    suspects = Suspects(5)
    fail(suspects, claim(("a", 0)), claim(("b", 0)), claim(("a", 1)))
    assert suspects.suspect is None
    together = Suspects(5)
    fail(together, claim(("a", 0), ("b", 0)))
    assert together.suspect is None


def test_a_second_job_that_fails_later_takes_the_suspicion_back() -> None:
    suspects = Suspects(5)
    fail(suspects, claim(("a", 0)))
    fail(suspects, claim(("b", 0)))
    assert suspects.suspect is None
    fail(suspects, claim(("a", 1)))
    assert suspects.suspect is None


def test_a_success_clears_everybody() -> None:
    suspects = Suspects(5)
    fail(suspects, claim(("a", 0)), claim(("b", 0)))
    suspects.succeeded()
    fail(suspects, claim(("b", 1)))
    assert suspects.suspect == "b"
    suspects.succeeded()
    assert suspects.suspect is None


@pytest.mark.parametrize(("attempt", "suspected"), [(0, True), (3, True), (4, False), (5, False)])
def test_items_at_their_last_attempt_are_not_risked(attempt: int, suspected: bool) -> None:  # noqa: FBT001
    suspects = Suspects(5)
    fail(suspects, claim(("a", 0), attempt=0), claim(("a", 1), ("a", 2), attempt=attempt))
    assert (suspects.suspect == "a") is suspected


def test_what_has_paid_for_a_suspicion_is_not_suspected_again() -> None:
    suspects = Suspects(5)
    fail(suspects, claim(("a", 0), ("a", 5)))
    assert suspects.spared("a")
    assert suspects.suspect is None
    fail(suspects, claim(("a", 5), attempt=1))
    assert suspects.suspect is None
    fail(suspects, claim(("a", 9)))
    assert suspects.suspect == "a"


def test_one_who_was_accused_already_is_no_news_until_something_succeeds() -> None:
    suspects = Suspects(5)
    for place, is_news in ((0, True), (1, False)):
        fail(suspects, claim(("a", place)))
        assert suspects.spared("a") is is_news
    suspects.succeeded()
    fail(suspects, claim(("a", 0)))
    assert suspects.suspect == "a"
    assert suspects.spared("a")
