from __future__ import annotations

import pytest

from gristmill.http.headers import JSON, NDJSON, Form, Wanted, form_of, is_gzipped, read_headers, wanted
from gristmill.http.problems import Refused


@pytest.mark.parametrize(
    "value",
    [
        b"application/json", b"Application/JSON", b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"',
        b"application/problem+json", b"application/json;profile=x",
    ],
)  # fmt: skip
def test_json_by_any_of_its_names_is_json(value: bytes) -> None:
    assert form_of(value, (JSON,)) is Form.JSON


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"text/plain", b"application/x-www-form-urlencoded", b"application/json; charset=latin-1",
        b"application/json, application/json", b"+json", b"application/x-ndjson",
    ],
)  # fmt: skip
def test_another_media_type_is_refused_with_what_is_accepted(value: bytes | None) -> None:
    with pytest.raises(Refused) as caught:
        form_of(value, (JSON,))
    assert caught.value.problem.code == "unsupported_media_type"
    assert (b"accept-post", b"application/json") in caught.value.headers


def test_json_lines_are_their_own_form() -> None:
    assert form_of(NDJSON, (JSON, NDJSON)) is Form.LINES


@pytest.mark.parametrize(
    ("value", "gzipped"), [(None, False), (b"identity", False), (b"gzip", True), (b"GZip", True)]
)
def test_gzip_and_no_coding_are_known(value: bytes | None, *, gzipped: bool) -> None:
    assert is_gzipped(value) is gzipped


@pytest.mark.parametrize("value", [b"br", b"gzip, gzip", b"deflate", b"identity, gzip"])
def test_other_codings_are_refused_with_what_is_accepted(value: bytes) -> None:
    with pytest.raises(Refused) as caught:
        is_gzipped(value)
    assert (caught.value.problem.status, caught.value.problem.code) == (415, "unsupported_encoding")
    assert (b"accept-encoding", b"gzip") in caught.value.headers


def test_a_route_without_gzip_says_identity() -> None:
    with pytest.raises(Refused) as caught:
        is_gzipped(b"gzip", accepted=False)
    assert (b"accept-encoding", b"identity") in caught.value.headers


def test_a_header_that_came_twice_is_joined() -> None:
    found = read_headers([(b"content-encoding", b"gzip"), (b"host", b"h"), (b"content-encoding", b"gzip")])
    assert found == {b"content-encoding": b"gzip, gzip", b"host": b"h"}


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (None, Wanted()),
        (b"handling=strict", Wanted(strict=True)),
        (b'return=minimal, Handling="strict"; x=y', Wanted(strict=True, minimal=True)),
        (b"handling=lenient, respond-sometimes", Wanted()),
    ],
)
def test_preferences_we_know_are_understood_and_others_ignored(
    prefer: bytes | None, expected: Wanted
) -> None:
    assert wanted(prefer) == expected


def test_applied_preferences_are_told() -> None:
    assert Wanted().applied() == []
    assert Wanted(strict=True, minimal=True).applied() == [
        (b"preference-applied", b"handling=strict, return=minimal")
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"respond-async", (True, None)),
        (b"respond-async, wait=5", (True, 5)),
        (b"Wait=7;x=1", (False, 7)),
        (b"wait=9, wait=3", (False, 3)),
        (b"wait=-1", (False, None)),
        (b"wait=" + b"9" * 50, (False, None)),
    ],
)
def test_a_job_and_a_wait_may_be_preferred(value: bytes, expected: tuple[bool, int | None]) -> None:
    found = wanted(value)
    assert (found.respond_async, found.wait) == expected


def test_what_a_job_followed_is_told() -> None:
    assert wanted(b"respond-async, wait=5").applied_to_job() == [
        (b"preference-applied", b"respond-async, wait=5")
    ]
    assert wanted(b"respond-async, wait=5").applied() == []
    assert Wanted().applied_to_job() == []
