from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from

from gristmill.streams.formats.patterns import ENDS_OUTSIDE, ends_outside, patterns

TEXTS = lists(sampled_from([b'"', b'""', b",", b"\r", b"\n", b"\r\n", b"a", b"bc"]), max_size=40).map(
    b"".join
)


@given(text=TEXTS, start=integers(0, 10))
def test_atomic_groups_match_what_possessive_quantifiers_do(text, start):
    """As Pythons whose possessive quantifiers are wrong need it; run on one where they are right."""
    usual = asdict(patterns(","))
    for name, atomic in asdict(patterns(",", natively=False)).items():
        found, expected = atomic.match(text, start), usual[name].match(text, start)
        assert (found and found.span()) == (expected and expected.span())
    for mark, expected in ENDS_OUTSIDE.items():
        assert (
            ends_outside(mark, natively=False).match(text, start).span() == expected.match(text, start).span()
        )


@pytest.mark.parametrize("found", [patterns(","), patterns(",", natively=False)])
def test_neither_gives_anything_back(found):
    """Where a quote stays open, all that precedes it would be tried again and again."""
    text = b'a,"b",' * 20_000 + b'"'
    assert found.first.match(text) is None
    assert found.well_formed.match(text).end() == len(text) - 1
