from __future__ import annotations

import gc

from gristmill.client.sealed import Sealed


def test_it_shows_no_data() -> None:
    assert repr(Sealed(b'{"card": "4111"}', 16)) == "<Sealed 16 bytes, 0 tries>"


def test_two_of_the_same_content_are_two() -> None:
    assert len({Sealed(b"1", 1), Sealed(b"1", 1)}) == 2


def test_the_collector_looks_at_one_only_if_it_holds_an_exception() -> None:
    sealed = Sealed(b"1", 1)
    sealed.deadline = 1.0
    assert not gc.is_tracked(sealed)
    sealed.verdict = ValueError()
    assert gc.is_tracked(sealed)
