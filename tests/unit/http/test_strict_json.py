from __future__ import annotations

import pytest

from gristmill.http.problems import Refused
from gristmill.http.settings import HttpLimits
from gristmill.http.strict_json import check_text, decode_plain
from gristmill.wire import Problem

LIMITS = HttpLimits()


def read(text: bytes, limits: HttpLimits) -> object:
    check_text(text, limits)
    return decode_plain(text)


def refusal(text: bytes, limits: HttpLimits = LIMITS) -> Problem:
    with pytest.raises(Refused) as caught:
        read(text, limits)
    return caught.value.problem


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"[1e999]",
        b"1" * 5000,
        b'"\\ud800"',
        b'"\\udc00x"',
        b'"\xff"',
        '"é"'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"'a'",
        b"[1,]",
    ],
)
def test_what_is_not_strict_json_is_malformed(text: bytes) -> None:
    assert refusal(text).code == "malformed_json"


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b'{"items":[', 10),
        (b"[1, NaN]", 4),
        (b'["a\xffb"]', 3),
        (b'["\\ud83d\\ude00", "\\\\ud800", "\\ud800"]', 29),
        (b"[1] x", 4),
        (b'{"a":1}}', 7),
    ],
)
def test_the_refusal_says_at_which_byte(text: bytes, offset: int) -> None:
    found = refusal(text)
    assert found.offset == offset
    assert str(offset) in str(found.detail)


def test_the_refusal_never_repeats_the_body() -> None:
    assert b"secret" not in str(refusal(b'{"secret": "secret"')).encode()


def test_nesting_up_to_the_limit_passes_and_no_deeper() -> None:
    check_text(b"[" * 64 + b"]" * 64, LIMITS)
    found = refusal(b"[" * 65 + b"]" * 65)
    assert (found.code, found.status, found.limit_depth) == ("too_deep", 400, 64)


def test_of_a_doubled_key_the_last_one_wins() -> None:
    check_text(b'{"a":1,"a":2}', LIMITS)
    assert decode_plain(b'{"a":1,"a":2}') == {"a": 2}


def test_strict_keys_refuse_a_doubled_key_at_any_level() -> None:
    strict = HttpLimits(strict_keys=True)
    check_text(b'{"a":{"b":1},"b":{"a":1}}', strict)
    assert refusal(b'[{"b":{"a":1,"a":1}}]', strict).code == "duplicate_key"
    assert refusal(b'{"a":1,"a":', strict).code == "malformed_json"


def test_integers_keep_all_their_digits() -> None:
    assert decode_plain(b"18446744073709551616") == 2**64
