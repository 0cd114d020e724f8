from __future__ import annotations

import pytest

from gristmill.client.quota import Quota


def quota_of(*values: str, sent: int = 1) -> Quota:
    """Return a quota after *sent* requests at once, and the answers to some of them, at second 0."""
    quota = Quota()
    for _ in range(sent):
        quota.begin()
    for value in values:
        quota.end()
        quota.note({"ratelimit": value}, 0.0)
    return quota


def sent_until_it_waits(quota: Quota, now: float = 0.0) -> int:
    count = 0
    while count < 100 and not quota.wait(now):
        quota.begin()
        count += 1
    return count


def test_as_many_go_as_are_left() -> None:
    assert sent_until_it_waits(quota_of('"a";r=3;t=60')) == 3


def test_the_smallest_of_several_quotas_counts() -> None:
    quota = quota_of('"day";r=100;t=900, "burst";r=2;t=5')
    assert sent_until_it_waits(quota) == 2
    assert sent_until_it_waits(quota, 6.0) == 98


def test_requests_on_their_way_may_not_be_counted_yet() -> None:
    assert sent_until_it_waits(quota_of('"a";r=5;t=60', sent=3)) == 3


def test_answers_that_overtake_each_other_leave_no_more() -> None:
    assert sent_until_it_waits(quota_of('"a";r=3;t=60', '"a";r=5;t=60', sent=2)) == 3


def test_while_answers_may_leave_more_it_is_looked_at_again_soon() -> None:
    quota = quota_of('"a";r=1;t=60', sent=2)
    assert 0 < quota.wait(0.0) < 1
    quota.end()
    quota.note({"ratelimit": '"a";r=1;t=60'}, 0.0)
    assert sent_until_it_waits(quota) == 1


def test_what_is_spent_comes_back_at_its_time() -> None:
    quota = quota_of('"a";r=0;t=60')
    assert quota.wait(10.0) == 50.0
    assert quota.wait(60.0) == 0.0


def test_a_quota_that_is_long_away_is_asked_for_again() -> None:
    quota = quota_of('"day";r=0;t=50000')
    assert quota.wait(0.0) == 120.0
    assert quota.wait(120.0) == 0.0
    assert sent_until_it_waits(quota_of('"day";r=3;t=50000'), 1000.0) == 3


def test_a_new_window_has_its_own_count() -> None:
    quota = quota_of('"a";r=1;t=60')
    quota.begin()
    quota.end()
    quota.note({"ratelimit": '"a";r=9;t=60'}, 59.0)
    assert sent_until_it_waits(quota, 59.0) == 9


@pytest.mark.parametrize("value", ["", '"a"', '"a";r=0', '"a";t=5', "nonsense;;;=,", '"a";r=x;t=y'])
def test_what_tells_nothing_holds_nobody(value: str) -> None:
    assert quota_of(value).wait(0.0) == 0.0


def test_a_quota_of_something_else_than_requests_is_not_counted() -> None:
    quota = Quota()
    policy = '"a";q=1000;qu="content-bytes";w=60, "b";q=5;qu="requests";w=60'
    quota.note({"ratelimit": '"a";r=1;t=60, "b";r=4;t=60', "ratelimit-policy": policy}, 0.0)
    assert sent_until_it_waits(quota) == 4
