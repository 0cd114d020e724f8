"""How batches are cut."""

from __future__ import annotations

from gristmill.client.limits import Learnt
from gristmill.client.sealed import Sealed
from gristmill.errors import RequestRefused


def sizes(limits: Learnt, items: list[Sealed]) -> list[int]:
    return [len(part) for part in limits.cut(items)]


def test_parts_keep_to_the_number_of_items() -> None:
    assert sizes(Learnt(3, 1000), [Sealed(b"1", 1)] * 7) == [3, 3, 1]


def test_bodies_keep_to_the_bytes() -> None:
    limits = Learnt(100, 20)
    items = [Sealed(b"12345", 5)] * 7
    parts = list(limits.cut(items))
    bodies = [b"[" + b",".join(each.content for each in part) + b"]" for part in parts]
    assert [len(part) for part in parts] == [3, 3, 1]
    assert max(map(len, bodies)) <= 20


def test_an_item_that_is_too_large_goes_alone() -> None:
    assert sizes(Learnt(100, 20), [Sealed(b"", 5), Sealed(b"", 500), Sealed(b"", 5)]) == [1, 1, 1]


def test_nothing_is_no_part() -> None:
    assert sizes(Learnt(3, 1000), []) == []


def test_limits_only_shrink() -> None:
    limits = Learnt(100, 1000)
    limits.at_most(500, 200)
    limits.learn(RequestRefused("", status=413, limit_items=7))
    limits.learn(RequestRefused("", status=413))
    assert (limits.items, limits.size) == (7, 200)
    limits.at_most(0, 0)
    assert (limits.items, limits.size) == (1, 1)


def test_what_a_server_took_is_the_limit_where_it_tells_none() -> None:
    limits = Learnt(100, 1000)
    limits.learn_from([[Sealed(b"12345", 5)] * 3, [Sealed(b"1", 1)]])
    assert (limits.items, limits.size) == (100, 20)
    limits.learn_from([[Sealed("of no known size")] * 7, [Sealed("another")]])
    assert (limits.items, limits.size) == (7, 20)
