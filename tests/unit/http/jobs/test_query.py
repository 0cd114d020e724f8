from __future__ import annotations

from typing import Any

import pytest

from gristmill.http.jobs.query import Query, moment_of
from gristmill.http.problems import Refused
from gristmill.model.lease import ResultKind


def detail(refused: Refused) -> str:
    assert (refused.problem.code, refused.problem.status) == ("invalid_option", 422)
    return str(refused.problem.detail)


def test_parameters_are_read_as_what_they_should_be() -> None:
    query = Query(b"limit=7&delay=1.5&ordered=true&status=failed&key=a%20b&unknown=1")
    assert query.whole("limit", 1, 10, 5) == 7
    assert query.seconds("delay") == 1.5
    assert query.truth("ordered", default=False) is True
    assert query.choice("status", ResultKind) is ResultKind.FAILED
    assert query.text("key") == "a b"


def test_what_is_not_given_has_its_default() -> None:
    query = Query(b"")
    assert query.whole("limit", 1, 10, 5) == 5
    assert query.seconds("delay") == 0
    assert query.truth("ordered", default=True) is True
    assert query.choice("status", ResultKind) is None
    assert query.text("key") is None
    assert query.moment("run_at") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"n=11", lambda q: q.whole("n", 1, 10, 5)),
        (b"n=-1", lambda q: q.whole("n", 0, 10, 5)),
        (b"n=" + b"9" * 5000, lambda q: q.whole("n", 0, 10, 5)),
        (b"n=%D9%A3", lambda q: q.whole("n", 0, 10, 5)),
        (b"n=", lambda q: q.whole("n", 0, 10, 5)),
        (b"n=nan", lambda q: q.seconds("n")),
        (b"n=-1", lambda q: q.seconds("n")),
        (b"n=1e999", lambda q: q.seconds("n")),
        (b"n=10000000001", lambda q: q.seconds("n")),
        (b"n=100000000001", lambda q: q.moment("n")),
        (b"n=9999-12-31T23:59:59-14:00", lambda q: q.moment("n")),
        (b"n=0001-01-01T00:00:00%2B14:00", lambda q: q.moment("n")),
        (b"n=yes", lambda q: q.truth("n", default=False)),
        (b"n=eaten", lambda q: q.choice("n", ResultKind)),
        (b"n=", lambda q: q.text("n")),
        (b"n=a%0Ab", lambda q: q.text("n")),
        (b"n=" + b"x" * 256, lambda q: q.text("n")),
        (b"n=tomorrow", lambda q: q.moment("n")),
        (b"n=2026-11-23T13:17:07", lambda q: q.moment("n")),
    ],
)
def test_what_is_something_else_is_refused_by_its_name(text: bytes, read: Any) -> None:
    with pytest.raises(Refused) as caught:
        read(Query(text))
    assert detail(caught.value).startswith("n is ")


@pytest.mark.parametrize(
    ("text", "known", "said"),
    [
        (
            b"state=queued&stat=x",
            ("state", "limit"),
            "stat is no parameter of this route; there are: limit, state",
        ),
        (b"x=1", (), "x is no parameter of this route; there are: none"),
        (b"a%20b%0A=1", ("state",), "one is no parameter of this route; there are: state"),
    ],
)
def test_a_parameter_that_is_not_known_is_refused_with_those_that_are(
    text: bytes, known: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Refused) as caught:
        Query(text, known)
    problem = caught.value.problem
    assert (problem.code, problem.status, problem.detail) == ("unknown_option", 400, said)


@pytest.mark.parametrize("text", [b"a=%ff", b"&".join(b"a%d=1" % n for n in range(101)), b"\xff=1"])
def test_a_query_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Query(text)
    assert "parameters" in detail(caught.value)


@pytest.mark.parametrize(
    "value", ["2026-11-23T13:17:07Z", "2026-11-23T14:17:07+01:00", "2026-11-23T14:17:07 01:00", "1795439827"]
)
def test_a_moment_may_be_written_in_several_ways(value: str) -> None:
    assert moment_of(value, "run_at") == 1795439827


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_a_number_that_is_no_moment_is_refused(value: float) -> None:
    with pytest.raises(Refused):
        moment_of(value, "before")
