from __future__ import annotations

import pytest

from gristmill.streams.sql.reading import has_order


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM a ORDER BY id", True),
        ("select * from a order\n  by id", True),
        ("SELECT * FROM (SELECT 1) s ORDER BY (id)", True),
        ("SELECT * FROM a", False),
        ("SELECT row_number() OVER (ORDER BY id) FROM a", False),
        ("SELECT * FROM (SELECT * FROM a ORDER BY id) b", False),
        ("SELECT 'it''s ORDER BY x' FROM a", False),
        ('SELECT "ORDER BY" FROM a', False),
        ("SELECT 1 -- ORDER BY id", False),
        ("SELECT 1 /* ORDER BY\n id */", False),
        ("SELECT $x$ ORDER BY $x$", False),
        ("SELECT ')' FROM (SELECT '(' ORDER BY 1) a", False),
        ("SELECT reorder BY FROM a", False),
    ],
)
def test_only_an_order_of_the_query_itself_counts(query: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    assert has_order(query) is expected
