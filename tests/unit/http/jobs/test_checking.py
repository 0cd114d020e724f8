from __future__ import annotations

from gristmill.http.jobs.checking import message_of
from gristmill.http.problems import problem
from gristmill.wire import Complaint


def test_a_message_names_the_line_and_what_is_wrong_where() -> None:
    found = problem(
        "invalid_item", errors=[Complaint("#/0/a", "Expected `int`"), Complaint("#/0/b", "missing")]
    )
    assert message_of(found, 3) == "line 3: Expected `int` at #/0/a; missing at #/0/b"
    assert message_of(problem("too_large"), None) == "The item is larger than limit_bytes."
