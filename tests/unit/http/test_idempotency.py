from __future__ import annotations

import pytest

from gristmill.http.idempotency import HELD, held_under, idempotency_key
from gristmill.http.problems import Refused


@pytest.mark.parametrize(
    ("header", "key"),
    [
        (None, None),
        (b"abc-1", "abc-1"),
        (b'"abc-1"', "abc-1"),
        (b' "abc-1" ', "abc-1"),
        (rb'"a\"b\\c"', 'a"b\\c'),
        (b"x" * 255, "x" * 255),
        (b"!~", "!~"),
    ],
)
def test_a_key_may_be_quoted_or_bare(header: bytes | None, key: str | None) -> None:
    assert idempotency_key(header) == key


@pytest.mark.parametrize(
    "header",
    [b"", b'""', b'"a', b'a"', b"a b", b'"a b"', b"a\x00", b"a\x7f", b"\xc3\xa9", b"x" * 256, b"a, b"],
)
def test_another_value_is_no_key(header: bytes) -> None:
    with pytest.raises(Refused) as caught:
        idempotency_key(header)
    assert (caught.value.problem.code, caught.value.problem.status) == ("invalid_idempotency_key", 400)


def test_a_key_is_held_for_a_day_and_apart_from_keys_of_other_kinds() -> None:
    held = held_under("k", "abc")
    assert (held.key, held.seconds, held.fingerprint) == ("idem:k", 86_400.0, "abc")
    assert HELD == 24 * 3600
